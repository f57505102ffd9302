"""Parts of a training loop beside the losses: schedule, step guard, image pools, captured steps and augmentation."""

from asymkit.training.augment import DiscriminatorAugmentation
from asymkit.training.capture import CapturedStep
from asymkit.training.guard import StepGuard
from asymkit.training.image_pool import CapturableImagePool, ImagePool, ImagePools
from asymkit.training.schedule import AsyncScheduler, frozen, linear_decay

__all__ = [
    "AsyncScheduler",
    "CapturableImagePool",
    "CapturedStep",
    "DiscriminatorAugmentation",
    "ImagePool",
    "ImagePools",
    "StepGuard",
    "frozen",
    "linear_decay",
]
