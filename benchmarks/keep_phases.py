"""``examples/asyncgan.py`` that also keeps the weights at the end of every phase, as phase-EPOCH.pt in the run's folder [Table V]."""

from __future__ import annotations

import asyncgan
from support.run.command import command
from support.run.plan import Plan
from torch import nn

import asymkit


def keeping(settings: asyncgan.Settings) -> None:
    """Train, and keep the weights of the hard direction."""

    class KeepingPlan(Plan):
        def keep_intermediate(self, step: int, model: nn.Module) -> None:
            super().keep_intermediate(step, model)
            if self.ends_phase(step) and not settings.dry_run:
                network = model.get_submodule("poor_to_rich")
                asymkit.save_weights(network, settings.folder / f"phase-{self.epoch(step):04}.pt")

    setattr(asyncgan, "Plan", KeepingPlan)  # noqa: B010  its loop makes one of that name
    asyncgan.main(settings)


if __name__ == "__main__":
    command(keeping, asyncgan.PRESETS)
