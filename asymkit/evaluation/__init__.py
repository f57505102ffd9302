"""Measurements of data sets and of trained models: ``pip install "asymkit[evaluation]"``.

Images are (N, 3, H, W) in [-1, 1]. ``python -m asymkit.evaluation REAL FAKE`` prints one table of two folders.
"""

from asymkit.evaluation.classification import (
    AugmentationScores,
    augmentation_scores,
    classification_accuracy,
    top_k_accuracy,
)
from asymkit.evaluation.diversity import diversity_over_z, entropy_over_z, mean_hue, pairwise_distance
from asymkit.evaluation.features import (
    FeatureNetwork,
    Features,
    extract_features,
    inception_features,
    torchvision_features,
)
from asymkit.evaluation.leak import RebuildCurve, RebuildLeak, rebuild_curve, rebuild_leak
from asymkit.evaluation.paired import PairedScores, discrete_frechet, frd, paired_scores, psnr
from asymkit.evaluation.palette import Palette, nearest_class
from asymkit.evaluation.photos import SmallUNet, photo_scores, segment, train_segmentation
from asymkit.evaluation.probing import ProbeScore, probe
from asymkit.evaluation.quality import ImageQuality, frechet_distance, image_quality, inception_score, kernel_distance
from asymkit.evaluation.segmentation import SegmentationMeter, SegmentationScores, label_scores
from asymkit.evaluation.sensitivity import Sensitivity, model_sensitivity, same_z_difference
from asymkit.evaluation.sources import FolderImages, image_batches, image_pairs
from asymkit.evaluation.table import Row, json_rows, text_table

__all__ = [
    "AugmentationScores",
    "FeatureNetwork",
    "Features",
    "FolderImages",
    "ImageQuality",
    "PairedScores",
    "Palette",
    "ProbeScore",
    "RebuildCurve",
    "RebuildLeak",
    "Row",
    "SegmentationMeter",
    "SegmentationScores",
    "Sensitivity",
    "SmallUNet",
    "augmentation_scores",
    "classification_accuracy",
    "discrete_frechet",
    "diversity_over_z",
    "entropy_over_z",
    "extract_features",
    "frd",
    "frechet_distance",
    "image_batches",
    "image_pairs",
    "image_quality",
    "inception_features",
    "inception_score",
    "json_rows",
    "kernel_distance",
    "label_scores",
    "mean_hue",
    "model_sensitivity",
    "nearest_class",
    "paired_scores",
    "pairwise_distance",
    "photo_scores",
    "probe",
    "psnr",
    "rebuild_curve",
    "rebuild_leak",
    "same_z_difference",
    "segment",
    "text_table",
    "top_k_accuracy",
    "torchvision_features",
    "train_segmentation",
]
