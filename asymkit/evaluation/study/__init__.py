"""User studies as one page: real or fake with a timed display, and mean opinion scores (MOS).

``python -m asymkit.evaluation.study REAL FAKE -o page.html`` writes the page (:mod:`asymkit.evaluation.study.page`),
``python -m asymkit.evaluation.study score answers*.csv`` scores what people answered (:mod:`asymkit.evaluation.study.scores`).
"""
