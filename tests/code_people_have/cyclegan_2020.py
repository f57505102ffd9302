# mypy: ignore-errors
# ruff: noqa: F821
"""The same in the form of 2020 to 2024: ``gpu_ids`` go with every network, and ``define_G`` wraps it at once."""

import functools
import os

import torch


def init_net(net, init_type="normal", init_gain=0.02, gpu_ids=()):
    if len(gpu_ids) > 0:
        net = torch.nn.DataParallel(net)  # as it is on a machine without a GPU: passes everything on
    init_weights(net, init_type, init_gain)
    return net


class BaseModel:
    def __init__(self, opt):
        self.opt, self.gpu_ids, self.isTrain = opt, opt.gpu_ids, opt.isTrain
        self.device = torch.device("cpu")
        self.save_dir = os.path.join(opt.checkpoints_dir, opt.name)  # noqa: PTH118
        self.loss_names, self.model_names, self.visual_names, self.optimizers = [], [], [], []

    def setup(self, opt):
        if self.isTrain:
            self.schedulers = [networks.get_scheduler(optimizer, opt) for optimizer in self.optimizers]
        if not self.isTrain or opt.continue_train:
            self.load_networks(opt.epoch)

    def load_networks(self, epoch):
        for name in self.model_names:
            net = getattr(self, "net" + name)
            if isinstance(net, torch.nn.DataParallel):
                net = net.module
            state_dict = torch.load("%s/%s_net_%s.pth" % (self.save_dir, epoch, name), map_location=str(self.device))  # noqa: UP031
            for key in state_dict:  # it looks for instance norms of old files along the names
                functools.reduce(getattr, key.split("."), net)
            net.load_state_dict(state_dict)

    def save_networks(self, epoch):
        for name in self.model_names:
            net = getattr(self, "net" + name)
            weights = net.module.state_dict() if len(self.gpu_ids) > 0 else net.state_dict()
            torch.save(weights, "%s/%s_net_%s.pth" % (self.save_dir, epoch, name))  # noqa: UP031

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
        model.update_learning_rate()
        for data in dataset:
            model.set_input(data)
            model.optimize_parameters()
            watch(model, epoch)
        model.save_networks("latest")
    return model
