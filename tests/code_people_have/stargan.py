# mypy: ignore-errors
"""StarGAN's solver as StarGAN code usually looks, in small."""

import published
import torch
import torch.nn.functional as F


def Generator(conv_dim, c_dim, repeat_num):  # noqa: N802
    return published.StarGANGenerator(c_dim, conv_dim, repeat_num)


def Discriminator(image_size, conv_dim, c_dim, repeat_num):  # noqa: N802
    return published.StarGANDiscriminator(image_size, conv_dim, c_dim, repeat_num)


class Solver:
    def __init__(self, config):
        self.__dict__.update(vars(config))
        self.device = torch.device("cpu")
        self.build_model()

    def build_model(self):
        self.G = Generator(self.g_conv_dim, self.c_dim, self.g_repeat_num)
        self.D = Discriminator(self.image_size, self.d_conv_dim, self.c_dim, self.d_repeat_num)
        self.g_optimizer = torch.optim.Adam(self.G.parameters(), self.g_lr, [self.beta1, self.beta2])
        self.d_optimizer = torch.optim.Adam(self.D.parameters(), self.d_lr, [self.beta1, self.beta2])

    def reset_grad(self):
        self.g_optimizer.zero_grad()
        self.d_optimizer.zero_grad()

    def classification_loss(self, logit, target):
        return F.cross_entropy(logit, target)

    def gradient_penalty(self, y, x):
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()

    def label2onehot(self, labels):
        return F.one_hot(labels, self.c_dim).float()

    def train(self, data_loader, watch):
        """``watch`` looks in after every step, and is the tests' own."""
        for i, (x_real, label_org) in enumerate(data_loader):
            label_trg = label_org[torch.randperm(label_org.size(0))]
            c_org = self.label2onehot(label_org)
            c_trg = self.label2onehot(label_trg)

            out_src, out_cls = self.D(x_real)
            d_loss_real = -torch.mean(out_src)
            d_loss_cls = self.classification_loss(out_cls, label_org)
            x_fake = self.G(x_real, c_trg)
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
            loss = {"D/loss_cls": d_loss_cls.item(), "D/loss_gp": d_loss_gp.item()}

            if (i + 1) % self.n_critic == 0:
                x_fake = self.G(x_real, c_trg)
                out_src, out_cls = self.D(x_fake)
                g_loss_fake = -torch.mean(out_src)
                g_loss_cls = self.classification_loss(out_cls, label_trg)
                x_reconst = self.G(x_fake, c_org)
                g_loss_rec = torch.mean(torch.abs(x_real - x_reconst))
                g_loss = g_loss_fake + self.lambda_rec * g_loss_rec + self.lambda_cls * g_loss_cls
                self.reset_grad()
                g_loss.backward()
                self.g_optimizer.step()
                loss |= {"G/loss_rec": g_loss_rec.item(), "G/loss_cls": g_loss_cls.item()}
            watch(self, loss)
