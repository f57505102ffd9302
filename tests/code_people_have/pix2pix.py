# mypy: ignore-errors
"""A pix2pix model as CycleGAN code has it since 2025, in small, around stand-ins for its networks."""

from types import SimpleNamespace

import published
import torch


def define_G(input_nc, output_nc, ngf):
    return published.CycleGANGenerator(input_nc, output_nc, ngf, 1)


class GANLoss(torch.nn.Module):
    def __init__(self, gan_mode):
        super().__init__()
        self.loss = {"lsgan": torch.nn.MSELoss, "vanilla": torch.nn.BCEWithLogitsLoss}[gan_mode]()

    def __call__(self, prediction, target_is_real):
        return self.loss(prediction, torch.full_like(prediction, float(target_is_real)))


networks = SimpleNamespace(GANLoss=GANLoss)


class Pix2PixModel:
    def __init__(self, opt):
        self.opt, self.device = opt, torch.device("cpu")
        self.loss_names = ["G_GAN", "G_L1", "D_real", "D_fake"]
        self.netG = define_G(opt.input_nc, opt.output_nc, opt.ngf)
        self.netD = published.PatchGAN(opt.input_nc + opt.output_nc, opt.ndf, 2)
        self.criterionGAN = networks.GANLoss(opt.gan_mode).to(self.device)
        self.criterionL1 = torch.nn.L1Loss()
        self.optimizer_G = torch.optim.Adam(self.netG.parameters(), lr=opt.lr, betas=(opt.beta1, 0.999))
        self.optimizer_D = torch.optim.Adam(self.netD.parameters(), lr=opt.lr, betas=(opt.beta1, 0.999))

    def set_input(self, input):
        self.real_A, self.real_B = input["A"], input["B"]

    def forward(self):
        self.fake_B = self.netG(self.real_A)

    def backward_D(self):
        self.loss_D_fake = self.criterionGAN(self.netD(torch.cat((self.real_A, self.fake_B), 1).detach()), False)
        self.loss_D_real = self.criterionGAN(self.netD(torch.cat((self.real_A, self.real_B), 1)), True)
        self.loss_D = (self.loss_D_fake + self.loss_D_real) * 0.5
        self.loss_D.backward()

    def backward_G(self):
        self.loss_G_GAN = self.criterionGAN(self.netD(torch.cat((self.real_A, self.fake_B), 1)), True)
        self.loss_G_L1 = self.criterionL1(self.fake_B, self.real_B) * self.opt.lambda_L1
        self.loss_G = self.loss_G_GAN + self.loss_G_L1
        self.loss_G.backward()

    def optimize_parameters(self):
        self.forward()
        self.optimizer_D.zero_grad()
        self.backward_D()
        self.optimizer_D.step()
        self.optimizer_G.zero_grad()
        self.backward_G()
        self.optimizer_G.step()
