"""Bootstrap Jaccard similarities against fpc::clusterboot (cluster_stability.R)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.cluster import AgglomerativeClustering

from models.clustering import jaccard_stability

HERE = Path(__file__).parent


def ward(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    labels: npt.NDArray[np.int64] = AgglomerativeClustering(3, linkage="ward").fit_predict(values)
    return labels


def test_jaccard_similarities_match_clusterboot_resample_by_resample() -> None:
    rows = pd.read_csv(HERE / "cluster_stability_input.csv")
    drawn = pd.read_csv(HERE / "cluster_stability_draws.csv")
    expected = pd.read_csv(HERE / "cluster_stability_expected.csv")
    wide = expected.pivot(index="resample", columns="cluster", values="jaccard").to_numpy()
    values = rows[["x", "y"]].to_numpy()
    draws = [own["person"].to_numpy() - 1 for _, own in drawn.groupby("resample")]

    found = jaccard_stability(values, ward, draws)

    # The same clusters, numbered in another order: R's number of each of ours, by its first member.
    ours = ward(values)
    order = [int(rows["cluster"][np.flatnonzero(ours == i)[0]]) - 1 for i in range(3)]
    assert all(len(set(rows["cluster"][ours == i])) == 1 for i in range(3))
    assert found.jaccard == pytest.approx(wide[:, order], abs=1e-12)
    means = [s["jaccard"] for s in found.summary()]
    assert means == pytest.approx(wide.mean(axis=0)[order], abs=1e-12)
