# mypy: ignore-errors
"""A MUNIT trainer with the names that MUNIT code uses, its contents our own and smaller."""

import published
import torch
from asyncgan_munit import AutoEncoder, Decoder
from torch import nn


class AdaINGen(nn.Module):
    def __init__(self, dim, style_dim):
        super().__init__()
        parts = AutoEncoder(dim, 1, style_dim)
        self.enc_content = parts.content
        self.enc_style = parts.style
        self.dec: Decoder = parts.decoder
        # in MUNIT's code a network of its own; here the linear layers inside the conditional norms
        self.mlp = nn.ModuleList(
            module
            for block in parts.decoder.blocks
            for norm in (block.norm1, block.norm2)
            for module in (norm.gamma, norm.beta)
        )

    def encode(self, images):
        return self.enc_content(images), self.enc_style(images)[..., None, None]

    def decode(self, content, style):
        return self.dec(content, style.flatten(1))


class MsImageDis(nn.Module):
    def __init__(self, input_dim, params):
        super().__init__()
        scales = range(params["num_scales"])
        self.cnns = nn.ModuleList(published.PatchGAN(input_dim, params["dim"], params["n_layer"] - 1) for _ in scales)

    def forward(self, x):
        return [net(nn.functional.avg_pool2d(x, 2**i)) for i, net in enumerate(self.cnns)]

    def calc_dis_loss(self, input_fake, input_real):
        scores = zip(self.forward(input_fake), self.forward(input_real), strict=True)
        return sum((fake**2).mean() + ((real - 1) ** 2).mean() for fake, real in scores)

    def calc_gen_loss(self, input_fake):
        return sum(((score - 1) ** 2).mean() for score in self.forward(input_fake))


class MUNIT_Trainer(nn.Module):  # noqa: N801
    def __init__(self, hyperparameters):
        super().__init__()
        dim, self.style_dim = hyperparameters["dim"], hyperparameters["style_dim"]
        self.gen_a, self.gen_b = AdaINGen(dim, self.style_dim), AdaINGen(dim, self.style_dim)
        self.dis_a = MsImageDis(hyperparameters["input_dim_a"], hyperparameters["dis"])
        self.dis_b = MsImageDis(hyperparameters["input_dim_b"], hyperparameters["dis"])
        dis_params = [*self.dis_a.parameters(), *self.dis_b.parameters()]
        gen_params = [*self.gen_a.parameters(), *self.gen_b.parameters()]
        self.dis_opt = torch.optim.Adam(dis_params, lr=1e-4, betas=(0.5, 0.999), weight_decay=1e-4)
        self.gen_opt = torch.optim.Adam(gen_params, lr=1e-4, betas=(0.5, 0.999), weight_decay=1e-4)

    def recon_criterion(self, input, target):
        return (input - target).abs().mean()

    def random_styles(self, x):
        return torch.randn(2, x.size(0), self.style_dim, 1, 1)

    def gen_update(self, x_a, x_b, hyperparameters):
        self.gen_opt.zero_grad()
        s_a, s_b = self.random_styles(x_a)
        (c_a, s_a_prime), (c_b, s_b_prime) = self.gen_a.encode(x_a), self.gen_b.encode(x_b)
        x_a_recon, x_b_recon = self.gen_a.decode(c_a, s_a_prime), self.gen_b.decode(c_b, s_b_prime)
        x_ba, x_ab = self.gen_a.decode(c_b, s_a), self.gen_b.decode(c_a, s_b)
        (c_b_recon, s_a_recon), (c_a_recon, s_b_recon) = self.gen_a.encode(x_ba), self.gen_b.encode(x_ab)
        self.loss_gen_recon_x_a = self.recon_criterion(x_a_recon, x_a)
        self.loss_gen_recon_x_b = self.recon_criterion(x_b_recon, x_b)
        self.loss_gen_recon_s_a = self.recon_criterion(s_a_recon, s_a)
        self.loss_gen_recon_s_b = self.recon_criterion(s_b_recon, s_b)
        self.loss_gen_recon_c_a = self.recon_criterion(c_a_recon, c_a)
        self.loss_gen_recon_c_b = self.recon_criterion(c_b_recon, c_b)
        self.loss_gen_adv_a = self.dis_a.calc_gen_loss(x_ba)
        self.loss_gen_adv_b = self.dis_b.calc_gen_loss(x_ab)
        images = self.loss_gen_recon_x_a + self.loss_gen_recon_x_b
        codes = self.loss_gen_recon_s_a + self.loss_gen_recon_s_b + self.loss_gen_recon_c_a + self.loss_gen_recon_c_b
        self.loss_gen_total = self.loss_gen_adv_a + self.loss_gen_adv_b + hyperparameters["recon_x_w"] * images + codes
        self.loss_gen_total.backward()
        self.gen_opt.step()

    def dis_update(self, x_a, x_b, hyperparameters):
        self.dis_opt.zero_grad()
        s_a, s_b = self.random_styles(x_a)
        c_a, c_b = self.gen_a.encode(x_a)[0], self.gen_b.encode(x_b)[0]
        x_ba, x_ab = self.gen_a.decode(c_b, s_a).detach(), self.gen_b.decode(c_a, s_b).detach()
        self.loss_dis_total = self.dis_a.calc_dis_loss(x_ba, x_a) + self.dis_b.calc_dis_loss(x_ab, x_b)
        self.loss_dis_total.backward()
        self.dis_opt.step()


def train(config, max_iter, loader, watch):
    """The script; ``watch`` looks in after every step, and is the tests' own."""
    trainer = MUNIT_Trainer(config)
    iterations = 0
    while True:
        for images_a, images_b in loader:
            trainer.dis_update(images_a, images_b, config)
            trainer.gen_update(images_a, images_b, config)
            watch(trainer, iterations)
            iterations += 1
            if iterations >= max_iter:
                return trainer
