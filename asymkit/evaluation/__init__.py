"""Measurements of data sets and of trained models: ``pip install "asymkit[evaluation]"``."""
