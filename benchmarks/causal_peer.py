"""The model that `benchmarks.causal` times, and DoWhy on it; runs alone in an interpreter that has DoWhy."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from numpy.typing import NDArray

NAMES = ("a", "b", "c", "d", "e", "f")
EDGES = (("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "e"), ("d", "e"), ("b", "f"), ("e", "f"))
WEIGHTS = (0.8, -0.5, 1.2, 0.7, 0.3, 0.9, -0.4, 1.1)


def columns(rows: int) -> dict[str, NDArray[np.float64]]:
    """Rows of the model, causes before effects."""
    rng = np.random.default_rng(0)
    found: dict[str, NDArray[np.float64]] = {}
    for name in NAMES:
        found[name] = rng.normal(size=rows)
        for (cause, effect), weight in zip(EDGES, WEIGHTS, strict=True):
            if effect == name:
                found[name] = found[name] + weight * found[cause]
    return found


def main() -> None:
    """Fit, do and counterfactual with DoWhy; its name, version and CPU seconds as a line of JSON."""
    import dowhy
    import networkx as nx
    import pandas as pd
    from dowhy import gcm

    gcm.config.disable_progress_bars()
    rows = int(sys.argv[1])
    data = pd.DataFrame(columns(rows))
    begin = time.process_time()
    model = gcm.InvertibleStructuralCausalModel(nx.DiGraph(EDGES))
    for name in NAMES:
        is_root = not any(effect == name for _, effect in EDGES)
        mechanism = gcm.EmpiricalDistribution() if is_root else gcm.AdditiveNoiseModel(gcm.ml.create_linear_regressor())
        model.set_causal_mechanism(name, mechanism)
    gcm.fit(model, data)
    gcm.interventional_samples(model, {"a": lambda _: 1.0}, num_samples_to_draw=rows)
    gcm.counterfactual_samples(model, {"a": lambda _: 1.0}, observed_data=data)
    spent = time.process_time() - begin
    print(json.dumps({"peer": f"dowhy {dowhy.__version__}", "seconds": spent}))


if __name__ == "__main__":
    main()
