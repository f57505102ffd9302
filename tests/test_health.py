"""What a training that leads nowhere is warned of, once."""

from __future__ import annotations

from support.report.health import WATCHED, Health


def told(discriminator: float, times: int, name: str = "discriminator_adversarial_rich") -> tuple[Health, list[str]]:
    health = Health("discriminator_")
    return health, [
        text for step in range(times) for text in health.losses(10 * step + 1, {name: discriminator, "cycle": 0.0})
    ]


def test_discriminators_that_win_are_said_once() -> None:
    health, said = told(0.004, 3 * WATCHED)
    assert len(said) == 1
    assert (
        "discriminator_adversarial_rich has long been near zero, 0.004 at step 991: the discriminator wins" in said[0]
    )
    assert list(health.warnings.values()) == said
    assert told(0.004, WATCHED - 1)[1] == []
    assert told(0.1, 3 * WATCHED)[1] == []
    assert told(0.0, 3 * WATCHED, "discriminator_classification")[1] == []  # a classifier may be right


def test_z_that_is_forgotten_is_said_once() -> None:
    health = Health("discriminator_")
    assert health.figures(1000, {"z_diversity": 0.001}) == []  # first weights
    assert health.figures(2000, {"z_diversity": 0.1}) == []
    assert health.figures(3000, {"z_diversity": 0.001}) == []
    assert (
        "z_diversity is 0.0012 at step 4000: images for different z are nearly the same"
        in (health.figures(4000, {"z_diversity": 0.0012})[0])
    )
    assert health.figures(5000, {"z_diversity": 0.001}) == []
    assert health.figures(1, {}) == []


def test_waiting_for_images_is_said_once() -> None:
    health = Health("discriminator_")
    assert health.waiting(0.1) == []
    assert health.waiting(0.31) == [
        "31% of the time is spent waiting for images: take more --workers, or store smaller images"
    ]
    assert health.waiting(0.5) == []
