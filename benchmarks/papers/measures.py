"""What is measured: of one arm, of all arms of an exhibit beside each other, and of a data set or a network alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from asymkit.evaluation import Row
from papers import alone, domains, gestures, people, pictures, two
from papers.registry import Exhibit
from papers.sets import Opened
from papers.work import Work

OF_ARM: Mapping[str, Callable[[Work], list[Row]]] = {
    "label_scores": two.label_scores,
    "photo_scores": two.photo_scores,
    "paired": two.paired,
    "quality": two.quality,
    "poor_quality": two.poor_quality,
    "sensitivity": two.sensitivity,
    "same_z": two.same_z,
    "leak": two.leak,
    "diversity": two.diversity,
    "phases": two.phases,
    "digits": two.digits,
    "domain_accuracy": domains.accuracy,
    "domain_quality": domains.quality,
    "domain_parameters": domains.parameters,
    "epoch_time": domains.epoch_time,
    "gesture_scores": gestures.scores,
    "gesture_parameters": gestures.parameters,
    "augmentation": gestures.augmentation,
}
"""Figures of one arm."""

OF_ALL: Mapping[str, Callable[[Sequence[Work]], dict[str, str]]] = {
    "rich_grid": pictures.rich_grid,
    "poor_grid": pictures.poor_grid,
    "run_pictures": pictures.run_pictures,
    "changed_pictures": pictures.changed_pictures,
    "segmented": pictures.segmented,
    "domain_grid": pictures.domain_grid,
    "gesture_grid": pictures.gesture_grid,
    "gesture_table": pictures.gesture_table,
}
"""Files of pictures by what they show, of all arms."""

PEOPLE: Mapping[str, Callable[[Sequence[Work]], people.Asked]] = {
    "mos": people.mos,
    "people": people.domain_pairs,
    "gesture_people": people.gesture_pairs,
}
"""Pages that ask people, and the scores of the answers that are there, of all arms."""

OF_SET: Mapping[str, Callable[[Exhibit, Opened], dict[str, list[Row]]]] = {
    "entropy": alone.entropy,
    "counts": alone.counts,
}
"""Figures of a data set, by row."""

ALONE: Mapping[str, Callable[[Exhibit], dict[str, list[Row]]]] = {
    "layers": alone.layers,
    "model_sizes": alone.model_sizes,
}
"""Arithmetic, by row."""
