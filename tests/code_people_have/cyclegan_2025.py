# mypy: ignore-errors
# ruff: noqa: F821
"""The base model, the start of weights and the training script as CycleGAN code has them since 2025, in small.

There are no ``gpu_ids``: ``setup`` gives every network of ``model_names`` its weights, moves it and wraps it.
"""

import functools
from pathlib import Path

import torch


def init_net(net, init_type="normal", init_gain=0.02):
    init_weights(net, init_type, init_gain)
    return net


class BaseModel:
    def __init__(self, opt):
        self.opt, self.isTrain, self.device = opt, opt.isTrain, opt.device
        self.save_dir = Path(opt.checkpoints_dir) / opt.name
        self.loss_names, self.model_names, self.visual_names, self.optimizers = [], [], [], []

    def setup(self, opt):
        for name in self.model_names:
            net = networks.init_net(getattr(self, "net" + name), opt.init_type, opt.init_gain)
            if not self.isTrain or opt.continue_train:
                state_dict = torch.load(self.save_dir / f"{opt.epoch}_net_{name}.pth", weights_only=True)
                for key in state_dict:  # it looks for instance norms of old files along the names
                    functools.reduce(getattr, key.split("."), net)
                net.load_state_dict(state_dict)
            net.to(self.device)
            if torch.distributed.is_initialized():
                net = torch.nn.parallel.DistributedDataParallel(net)
            setattr(self, "net" + name, net)
        if self.isTrain:
            self.schedulers = [networks.get_scheduler(optimizer, opt) for optimizer in self.optimizers]

    def save_networks(self, epoch):
        for name in self.model_names:
            net = getattr(self, "net" + name)
            torch.save(getattr(net, "module", net).state_dict(), self.save_dir / f"{epoch}_net_{name}.pth")

    def test(self):
        with torch.no_grad():
            self.forward()

    def update_learning_rate(self):
        for scheduler in self.schedulers:
            scheduler.step()

    def get_current_visuals(self):
        return {name: getattr(self, name) for name in self.visual_names}

    def get_current_losses(self):
        return {name: float(getattr(self, "loss_" + name)) for name in self.loss_names}

    def set_requires_grad(self, nets, requires_grad=False):
        for net in nets if isinstance(nets, list) else [nets]:
            for param in net.parameters():
                param.requires_grad = requires_grad


def train(opt, dataset, watch):
    """``watch`` looks in after every step, and is the tests' own."""
    model = create_model(opt)
    model.setup(opt)
    for epoch in range(opt.epoch_count, opt.n_epochs + opt.n_epochs_decay + 1):
        for data in dataset:
            model.set_input(data)
            model.optimize_parameters()
            watch(model, epoch)
        model.update_learning_rate()
        model.save_networks("latest")
    return model
