"""Measurements that say what a data set is, or what a trained model does: ``pip install "asymkit[evaluation]"``."""
