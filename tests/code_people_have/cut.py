# mypy: ignore-errors
"""A CUT model with the names that CUT code uses, in small; its contrastive loss is a stand-in of the same use."""

from types import SimpleNamespace

import published
import torch


class ResnetGenerator(published.CycleGANGenerator):
    def forward(self, input, layers=(), encode_only=False):
        if not encode_only:
            return self.model(input)
        features = []
        for i, layer in enumerate(self.model[: max(layers) + 1]):
            input = layer(input)
            features += [input] if i in layers else []
        return features


class GANLoss(torch.nn.Module):
    def __init__(self, gan_mode):
        super().__init__()
        self.loss = {"lsgan": torch.nn.MSELoss, "vanilla": torch.nn.BCEWithLogitsLoss}[gan_mode]()

    def __call__(self, prediction, target_is_real):
        return self.loss(prediction, torch.full_like(prediction, float(target_is_real)))


def init_net(net, init_type="normal", init_gain=0.02, gpu_ids=()):
    start = {"normal": lambda w: torch.nn.init.normal_(w, 0.0, init_gain), "xavier": torch.nn.init.xavier_normal_}

    def init_func(m):
        if hasattr(m, "weight") and "Conv" in type(m).__name__:
            start[init_type](m.weight.data, **({"gain": init_gain} if init_type == "xavier" else {}))

    net.apply(init_func)
    return net


def define_D(input_nc, ndf, netD, n_layers_D, norm, init_type, init_gain, no_antialias, gpu_ids, opt):
    return init_net(published.PatchGAN(input_nc, ndf, n_layers_D), init_type, init_gain, gpu_ids)


networks = SimpleNamespace(GANLoss=GANLoss, define_D=define_D, init_net=init_net)


class CUTModel:
    def __init__(self, opt):
        self.opt, self.gpu_ids, self.device, self.isTrain = opt, [], torch.device("cpu"), True
        self.loss_names = ["G_GAN", "D_real", "D_fake", "G", "NCE"]
        self.netG = ResnetGenerator(opt.input_nc, opt.output_nc, opt.ngf, 1)
        features = self.netG(torch.zeros(1, opt.input_nc, 32, 32), [0, 4, 8], encode_only=True)
        self.netF = torch.nn.ModuleList(torch.nn.Linear(feature.size(1), 8) for feature in features)
        if self.isTrain:
            start = (opt.normD, opt.init_type, opt.init_gain, opt.no_antialias, self.gpu_ids, opt)
            self.netD = networks.define_D(opt.output_nc, opt.ndf, opt.netD, opt.n_layers_D, *start)
            self.criterionGAN = networks.GANLoss(opt.gan_mode).to(self.device)
            self.optimizer_G = torch.optim.Adam(self.netG.parameters(), lr=opt.lr, betas=(opt.beta1, opt.beta2))
            self.optimizer_D = torch.optim.Adam(self.netD.parameters(), lr=opt.lr, betas=(opt.beta1, opt.beta2))
            self.optimizer_F = torch.optim.Adam(self.netF.parameters(), lr=opt.lr, betas=(opt.beta1, opt.beta2))

    def set_input(self, input):
        self.real_A, self.real_B = input["A"], input["B"]

    def forward(self):
        self.fake_B = self.netG(self.real_A)

    def compute_D_loss(self):
        self.loss_D_fake = self.criterionGAN(self.netD(self.fake_B.detach()), False).mean()
        self.loss_D_real = self.criterionGAN(self.netD(self.real_B), True).mean()
        self.loss_D = (self.loss_D_fake + self.loss_D_real) * 0.5
        return self.loss_D

    def compute_G_loss(self):
        self.loss_G_GAN = self.criterionGAN(self.netD(self.fake_B), True).mean() * self.opt.lambda_GAN
        self.loss_NCE = self.calculate_NCE_loss(self.real_A, self.fake_B)
        self.loss_G = self.loss_G_GAN + self.loss_NCE
        return self.loss_G

    def calculate_NCE_loss(self, src, tgt):
        queries, keys = (
            [
                net(x.movedim(1, -1))
                for net, x in zip(self.netF, self.netG(image, [0, 4, 8], encode_only=True), strict=True)
            ]
            for image in (tgt, src)
        )
        return torch.stack([(q - k.detach()).square().mean() for q, k in zip(queries, keys, strict=True)]).mean()

    def optimize_parameters(self):
        self.forward()
        self.optimizer_D.zero_grad()
        self.loss_D = self.compute_D_loss()
        self.loss_D.backward()
        self.optimizer_D.step()
        self.optimizer_G.zero_grad()
        if self.opt.netF == "mlp_sample":
            self.optimizer_F.zero_grad()
        self.loss_G = self.compute_G_loss()
        self.loss_G.backward()
        self.optimizer_G.step()
        if self.opt.netF == "mlp_sample":
            self.optimizer_F.step()
