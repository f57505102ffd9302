# mypy: ignore-errors
"""AsymmetricGAN's solver for many domains and its model for pairs, with the names of its code, in small."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import published
import torch
import torch.nn.functional as F
from util.image_pool import ImagePool


def Generator_xy(conv_dim=64, c_dim=5, repeat_num=6):
    return published.StarGANGenerator(c_dim, conv_dim, repeat_num)


def Generator_yx(conv_dim=64, c_dim=5, repeat_num=2):
    return published.StarGANGenerator(c_dim, conv_dim, repeat_num)


def Discriminator(image_size=128, conv_dim=64, c_dim=5, repeat_num=6):
    return published.StarGANDiscriminator(image_size, conv_dim, c_dim, repeat_num)


class SSIM(torch.nn.Module):
    """Constants for images of a range of 1, zeros around the images."""

    def map(self, img1, img2):
        places = torch.arange(11.0) - 5
        gauss = torch.exp(-(places**2) / (2 * 1.5**2))
        window = torch.outer(gauss, gauss) / gauss.sum() ** 2

        def blurred(x):
            return F.conv2d(x, window.expand(x.size(1), 1, 11, 11), padding=5, groups=x.size(1))

        mu1, mu2 = blurred(img1), blurred(img2)
        var1, var2 = blurred(img1**2) - mu1**2, blurred(img2**2) - mu2**2
        covariance = blurred(img1 * img2) - mu1 * mu2
        c1, c2 = 0.01**2, 0.03**2
        return (2 * mu1 * mu2 + c1) * (2 * covariance + c2) / ((mu1**2 + mu2**2 + c1) * (var1 + var2 + c2))

    def forward(self, img1, img2):
        return self.map(img1, img2).mean()


ssim = SimpleNamespace(SSIM=SSIM)


class Solver:
    def __init__(self, config):
        self.__dict__.update(vars(config))
        self.criterionSSIM = ssim.SSIM()
        self.device = torch.device("cpu")
        self.build_model()

    def build_model(self):
        if self.dataset in ["CelebA", "RaFD"]:
            self.G_xy = Generator_xy(self.g_conv_dim, self.c_dim, self.g_repeat_num)
            self.G_yx = Generator_yx(self.g_conv_dim, self.c_dim, self.g_repeat_num)
            self.D = Discriminator(self.image_size, self.d_conv_dim, self.c_dim, self.d_repeat_num)
        self.g_xy_optimizer = torch.optim.Adam(self.G_xy.parameters(), self.g_lr, [self.beta1, self.beta2])
        self.g_yx_optimizer = torch.optim.Adam(self.G_yx.parameters(), self.g_lr, [self.beta1, self.beta2])
        self.d_optimizer = torch.optim.Adam(self.D.parameters(), self.d_lr, [self.beta1, self.beta2])

    def restore_model(self, resume_iters):
        for name in ("G_xy", "G_yx", "D"):
            path = Path(self.model_save_dir, f"{resume_iters}-{name}.ckpt")
            getattr(self, name).load_state_dict(torch.load(path))

    def reset_grad(self):
        self.g_xy_optimizer.zero_grad()
        self.g_yx_optimizer.zero_grad()
        self.d_optimizer.zero_grad()

    def classification_loss(self, logit, target, dataset="CelebA"):
        if dataset == "CelebA":
            return F.binary_cross_entropy_with_logits(logit, target, reduction="sum") / logit.size(0)
        elif dataset == "RaFD":
            return F.cross_entropy(logit, target)

    def gradient_penalty(self, y, x):
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()

    def train(self, data_loader, watch):
        """``watch`` looks in after every step, and is the tests' own."""
        for i, (x_real, label_org) in enumerate(data_loader):
            label_trg = label_org[torch.randperm(label_org.size(0))]
            c_org, c_trg = F.one_hot(label_org, self.c_dim).float(), F.one_hot(label_trg, self.c_dim).float()
            out_src, out_cls = self.D(x_real)
            d_loss_real = -torch.mean(out_src)
            d_loss_cls = self.classification_loss(out_cls, label_org, self.dataset)
            x_fake = self.G_xy(x_real, c_trg)
            out_src, out_cls = self.D(x_fake.detach())
            d_loss_fake = torch.mean(out_src)
            alpha = torch.rand(x_real.size(0), 1, 1, 1)
            x_hat = (alpha * x_real.data + (1 - alpha) * x_fake.data).requires_grad_(True)
            out_src, _ = self.D(x_hat)
            d_loss_gp = self.gradient_penalty(out_src, x_hat)
            d_loss = d_loss_real + d_loss_fake + self.lambda_cls * d_loss_cls + self.lambda_gp * d_loss_gp
            self.reset_grad()
            d_loss.backward()
            self.d_optimizer.step()
            loss = {"D/loss_cls": d_loss_cls.item()}
            if (i + 1) % self.n_critic == 0:
                x_fake = self.G_xy(x_real, c_trg)
                out_src, out_cls = self.D(x_fake)
                g_loss_fake = -torch.mean(out_src)
                g_loss_cls = self.classification_loss(out_cls, label_trg, self.dataset)
                x_reconst = self.G_yx(x_fake, c_org)
                g_loss_rec_r = torch.mean(torch.abs(x_real[:, 0, :, :] - x_reconst[:, 0, :, :]))
                g_loss_rec_g = torch.mean(torch.abs(x_real[:, 1, :, :] - x_reconst[:, 1, :, :]))
                g_loss_rec_b = torch.mean(torch.abs(x_real[:, 2, :, :] - x_reconst[:, 2, :, :]))
                g_loss_rec = g_loss_rec_r + g_loss_rec_g + g_loss_rec_b
                g_loss_ssim = -self.criterionSSIM(x_real, x_reconst)
                g_loss = g_loss_fake + self.lambda_rec * g_loss_rec + self.lambda_cls * g_loss_cls + g_loss_ssim
                self.reset_grad()
                g_loss.backward()
                self.g_xy_optimizer.step()
                self.g_yx_optimizer.step()
                loss |= {"G/loss_rec": g_loss_rec.item(), "G/loss_ssim": g_loss_ssim.item()}
            watch(self, loss)


class GANLoss(torch.nn.Module):
    def __init__(self, use_lsgan=True):
        super().__init__()
        self.loss = torch.nn.MSELoss() if use_lsgan else torch.nn.BCELoss()

    def __call__(self, input, target_is_real):
        return self.loss(input, torch.full_like(input, float(target_is_real)))


class VGGLoss(torch.nn.Module):
    """A stand-in for the network, which this code downloads."""

    def __init__(self, gpu_ids):
        super().__init__()

    def forward(self, x, y):
        return (F.avg_pool2d(x, 4) - F.avg_pool2d(y.detach(), 4)).abs().mean()


def define_G(input_nc, output_nc, ngf, which_model_netG, norm, use_dropout, init_type, init_gain, gpu_ids):
    return published.CycleGANGenerator(input_nc, output_nc, ngf, int(which_model_netG[7]), use_dropout)


def define_D(input_nc, ndf, which_model_netD, n_layers_D, norm, use_sigmoid, init_type, init_gain, gpu_ids):
    net = published.PatchGAN(input_nc, ndf, n_layers_D)
    return torch.nn.Sequential(net, torch.nn.Sigmoid()) if use_sigmoid else net


networks = SimpleNamespace(define_G=define_G, define_D=define_D, GANLoss=GANLoss, VGGLoss=VGGLoss)


class AsymmetricGANModel:
    def initialize(self, opt):
        self.opt, self.gpu_ids, self.device, self.isTrain = opt, [], torch.device("cpu"), True
        self.loss_names = ["G_GAN_D1", "G_GAN_D2", "G_L1", "G_VGG", "reg", "G", "D1", "D2"]
        generator = (opt.which_model_netG, opt.norm, not opt.no_dropout, opt.init_type, opt.init_gain, self.gpu_ids)
        self.netG1 = networks.define_G(6, 3, opt.ngf_t, *generator)
        self.netG2 = networks.define_G(6, 3, opt.ngf_r, *generator)
        if self.isTrain:
            use_sigmoid = opt.no_lsgan
            start = (opt.norm, use_sigmoid, opt.init_type, opt.init_gain, self.gpu_ids)
            self.netD1 = networks.define_D(6, opt.ndf, opt.which_model_netD, opt.n_layers_D, *start)
            self.netD2 = networks.define_D(9, opt.ndf, opt.which_model_netD, opt.n_layers_D, *start)
        if self.isTrain:
            self.fake_AB_pool = ImagePool(opt.pool_size)
            self.criterionGAN = networks.GANLoss(use_lsgan=not opt.no_lsgan).to(self.device)
            self.criterionL1 = torch.nn.L1Loss()
            self.criterionVGG = networks.VGGLoss(self.gpu_ids)
            generators = itertools.chain(self.netG1.parameters(), self.netG2.parameters())
            self.optimizer_G = torch.optim.Adam(generators, lr=opt.lr, betas=(opt.beta1, 0.999))
            discriminators = itertools.chain(self.netD1.parameters(), self.netD2.parameters())
            self.optimizer_D = torch.optim.Adam(discriminators, lr=opt.lr, betas=(opt.beta1, 0.999))

    def set_input(self, input):
        self.real_A, self.real_B, self.real_C, self.real_D = (input[name] for name in "ABCD")

    def forward(self):
        self.fake_B = self.netG1(torch.cat((self.real_A, self.real_D), 1))
        self.recovery_A = self.netG2(torch.cat((self.fake_B, self.real_C), 1))
        self.fake_A = self.netG1(torch.cat((self.real_B, self.real_C), 1))
        self.recovery_B = self.netG2(torch.cat((self.fake_A, self.real_D), 1))
        self.identity_A = self.netG1(torch.cat((self.real_A, self.real_C), 1))
        self.identity_B = self.netG1(torch.cat((self.real_B, self.real_D), 1))

    def compared(self, net, *parts):
        return net(self.fake_AB_pool.query(torch.cat(parts, 1)).detach())

    def backward_D(self):
        self.loss_D1 = 0.5 * sum(
            self.criterionGAN(self.compared(self.netD1, real, fake), False)
            + self.criterionGAN(self.netD1(torch.cat((self.real_A, self.real_B), 1)), True)
            for real, fake in ((self.real_A, self.fake_B), (self.real_B, self.fake_A))
        )
        self.loss_D2 = 0.5 * sum(
            self.criterionGAN(self.compared(self.netD2, source, skeleton, fake), False)
            + self.criterionGAN(self.netD2(torch.cat((source, skeleton, target), 1)), True)
            for source, skeleton, fake, target in (
                (self.real_A, self.real_D, self.fake_B, self.real_B),
                (self.real_B, self.real_C, self.fake_A, self.real_A),
            )
        )
        (self.loss_D1 + self.loss_D2).backward()

    def backward_G(self):
        opt = self.opt
        self.loss_G_GAN_D1 = self.criterionGAN(self.netD1(torch.cat((self.real_A, self.fake_B), 1)), True)
        self.loss_G_GAN_D1 = (
            self.criterionGAN(self.netD1(torch.cat((self.real_B, self.fake_A), 1)), True) + self.loss_G_GAN_D1
        )
        self.loss_G_GAN_D2 = self.criterionGAN(self.netD2(torch.cat((self.real_A, self.real_D, self.fake_B), 1)), True)
        self.loss_G_GAN_D2 = (
            self.criterionGAN(self.netD2(torch.cat((self.real_B, self.real_C, self.fake_A), 1)), True)
            + self.loss_G_GAN_D2
        )
        self.loss_G_L1 = sum(
            sum(self.criterionL1(fake[:, c : c + 1], real[:, c : c + 1]) for c in range(3)) * opt.lambda_L1
            + self.criterionL1(fake, real) * opt.lambda_L1
            + self.criterionL1(recovery, real) * opt.cyc_L1
            + self.criterionL1(identity, real) * opt.lambda_identity
            for fake, recovery, identity, real in (
                (self.fake_B, self.recovery_B, self.identity_B, self.real_B),
                (self.fake_A, self.recovery_A, self.identity_A, self.real_A),
            )
        )
        self.loss_G_VGG = (
            self.criterionVGG(self.fake_B, self.real_B) * opt.lambda_feat
            + self.criterionVGG(self.fake_A, self.real_A) * opt.lambda_feat
        )
        self.loss_reg = opt.REGULARIZATION * sum(
            torch.sum(torch.abs(fake[..., :-1] - fake[..., 1:]))
            + torch.sum(torch.abs(fake[..., :-1, :] - fake[..., 1:, :]))
            for fake in (self.fake_B, self.fake_A)
        )
        self.loss_G = self.loss_G_GAN_D1 + self.loss_G_GAN_D2 + self.loss_G_L1 + self.loss_G_VGG + self.loss_reg
        self.loss_G.backward()

    def set_requires_grad(self, nets, requires_grad=False):
        for net in nets:
            net.requires_grad_(requires_grad)

    def optimize_parameters(self):
        self.forward()
        self.set_requires_grad([self.netD1, self.netD2], True)
        self.optimizer_D.zero_grad()
        self.backward_D()
        self.optimizer_D.step()
        self.set_requires_grad([self.netD1, self.netD2], False)
        self.optimizer_G.zero_grad()
        self.backward_G()
        self.optimizer_G.step()
