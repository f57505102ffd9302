# mypy: ignore-errors
"""StarGAN's solver as StarGAN code usually looks, in small: one data set, or CelebA and RaFD together."""

from pathlib import Path

import published
import torch
import torch.nn.functional as F


def Generator(conv_dim, c_dim, repeat_num):
    return published.StarGANGenerator(c_dim, conv_dim, repeat_num)


def Discriminator(image_size, conv_dim, c_dim, repeat_num):
    return published.StarGANDiscriminator(image_size, conv_dim, c_dim, repeat_num)


class Solver:
    def __init__(self, config):
        self.__dict__.update(vars(config))
        self.device = torch.device("cpu")
        self.build_model()

    def build_model(self):
        if self.dataset in ["CelebA", "RaFD"]:
            self.G = Generator(self.g_conv_dim, self.c_dim, self.g_repeat_num)
            self.D = Discriminator(self.image_size, self.d_conv_dim, self.c_dim, self.d_repeat_num)
        elif self.dataset in ["Both"]:
            self.G = Generator(self.g_conv_dim, self.c_dim + self.c2_dim + 2, self.g_repeat_num)
            self.D = Discriminator(self.image_size, self.d_conv_dim, self.c_dim + self.c2_dim, self.d_repeat_num)
        self.g_optimizer = torch.optim.Adam(self.G.parameters(), self.g_lr, [self.beta1, self.beta2])
        self.d_optimizer = torch.optim.Adam(self.D.parameters(), self.d_lr, [self.beta1, self.beta2])
        self.G.to(self.device)
        self.D.to(self.device)

    def restore_model(self, resume_iters):
        self.G.load_state_dict(torch.load(Path(self.model_save_dir, f"{resume_iters}-G.ckpt")))
        self.D.load_state_dict(torch.load(Path(self.model_save_dir, f"{resume_iters}-D.ckpt")))

    def reset_grad(self):
        self.g_optimizer.zero_grad()
        self.d_optimizer.zero_grad()

    def classification_loss(self, logit, target, dataset="CelebA"):
        if dataset == "CelebA":
            return F.binary_cross_entropy_with_logits(logit, target, reduction="sum") / logit.size(0)
        elif dataset == "RaFD":
            return F.cross_entropy(logit, target)

    def gradient_penalty(self, y, x):
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()

    def label2onehot(self, labels, dim):
        return F.one_hot(labels, dim).float()

    def train(self, data_loader, watch):
        """``watch`` looks in after every step, and is the tests' own."""
        for i, (x_real, label_org) in enumerate(data_loader):
            label_trg = label_org[torch.randperm(label_org.size(0))]
            if self.dataset == "CelebA":
                c_org = label_org.clone()
                c_trg = label_trg.clone()
            elif self.dataset == "RaFD":
                c_org = self.label2onehot(label_org, self.c_dim)
                c_trg = self.label2onehot(label_trg, self.c_dim)

            out_src, out_cls = self.D(x_real)
            d_loss_real = -torch.mean(out_src)
            d_loss_cls = self.classification_loss(out_cls, label_org, self.dataset)
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
                g_loss_cls = self.classification_loss(out_cls, label_trg, self.dataset)
                x_reconst = self.G(x_fake, c_org)
                g_loss_rec = torch.mean(torch.abs(x_real - x_reconst))
                g_loss = g_loss_fake + self.lambda_rec * g_loss_rec + self.lambda_cls * g_loss_cls
                self.reset_grad()
                g_loss.backward()
                self.g_optimizer.step()
                loss |= {"G/loss_rec": g_loss_rec.item(), "G/loss_cls": g_loss_cls.item()}
            watch(self, loss)

    def train_multi(self, data_loader, watch):
        for i, batches in enumerate(data_loader):
            for dataset in ["CelebA", "RaFD"]:
                x_real, label_org = batches[dataset]
                label_trg = label_org[torch.randperm(label_org.size(0))]
                zeros = torch.zeros(x_real.size(0), self.c2_dim if dataset == "CelebA" else self.c_dim)
                mask = self.label2onehot(torch.full((x_real.size(0),), int(dataset == "RaFD")), 2)
                if dataset == "CelebA":
                    c_org = torch.cat([label_org, zeros, mask], dim=1)
                    c_trg = torch.cat([label_trg, zeros, mask], dim=1)
                elif dataset == "RaFD":
                    c_org = torch.cat([zeros, self.label2onehot(label_org, self.c2_dim), mask], dim=1)
                    c_trg = torch.cat([zeros, self.label2onehot(label_trg, self.c2_dim), mask], dim=1)

                out_src, out_cls = self.D(x_real)
                out_cls = out_cls[:, : self.c_dim] if dataset == "CelebA" else out_cls[:, self.c_dim :]
                d_loss_cls = self.classification_loss(out_cls, label_org, dataset)
                x_fake = self.G(x_real, c_trg)
                d_loss = torch.mean(self.D(x_fake.detach())[0]) - torch.mean(out_src) + self.lambda_cls * d_loss_cls
                self.reset_grad()
                d_loss.backward()
                self.d_optimizer.step()
                loss = {"D/loss_cls": d_loss_cls.item()}

                if (i + 1) % self.n_critic == 0:
                    x_fake = self.G(x_real, c_trg)
                    out_src, out_cls = self.D(x_fake)
                    out_cls = out_cls[:, : self.c_dim] if dataset == "CelebA" else out_cls[:, self.c_dim :]
                    g_loss_fake = -torch.mean(out_src)
                    g_loss_cls = self.classification_loss(out_cls, label_trg, dataset)
                    x_reconst = self.G(x_fake, c_org)
                    g_loss_rec = torch.mean(torch.abs(x_real - x_reconst))
                    g_loss = g_loss_fake + self.lambda_rec * g_loss_rec + self.lambda_cls * g_loss_cls
                    self.reset_grad()
                    g_loss.backward()
                    self.g_optimizer.step()
                    loss |= {"G/loss_rec": g_loss_rec.item(), "G/loss_cls": g_loss_cls.item()}
                watch(self, loss)
