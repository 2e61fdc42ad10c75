"""predict and evaluate in reduced precision, whose kernels a model keeps: they must be those of the current weights.

test_products_of_precisions.py has what is computed.
"""

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from programs import last_json, run_program, same_bits
from test_products_of_precisions import data, environment, network

CHANGES = """
import json, sys
import numpy as np
import fastreg as fr
from test_products_of_precisions import data, network
x, y = data(250)
found = {}

def compare(name, model):
    "Whether predict has the outputs of a new model with the same weights, and others than at the last call."
    twin = network("medium")
    twin.set_weights(model.get_weights())
    now, before = model.predict(x), last.get(name)
    found.setdefault(name, []).append([bool(np.array_equal(now, twin.predict(x))), not np.array_equal(now, before)])
    last[name] = now

last = {}
random = np.random.default_rng(0)
model = network("medium", optimizer="adam")
compare("set_weights", model)
for _ in range(2):
    model.set_weights([random.normal(size=w.shape).astype("f") for w in model.get_weights()])
    compare("set_weights", model)
compare("a layer", model)
model.layers[1].set_weights([2 * w for w in model.layers[1].get_weights()])
compare("a layer", model)
compare("train_on_batch", model)
for _ in range(2):
    model.train_on_batch(x, y)
    compare("train_on_batch", model)
model.save_weights(sys.argv[1])
model.train_on_batch(x, y)
compare("load_weights", model)
model.load_weights(sys.argv[1])
compare("load_weights", model)

optimizers = {
    "sgd": fr.optimizers.SGD(0.05),
    "average": fr.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.5),
    "schedule-free": fr.optimizers.ScheduleFreeAdamW(1e-2),
}
for name, optimizer in optimizers.items():
    model = network("medium", optimizer=optimizer)
    within = fr.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: compare(f"{name} batch", model),
        on_epoch_end=lambda epoch, logs: compare(f"{name} epoch", model),
    )
    for _ in range(2):
        model.fit(x, y, batch_size=50, epochs=2, callbacks=[within], verbose=0)
        compare(f"{name} fit", model)

model = network("medium", optimizer=fr.optimizers.SGD(0.05))
stop = fr.callbacks.EarlyStopping("loss", mode="max", patience=1, restore_best_weights=True)  # the first epoch is best
within = fr.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: compare("stopped batch", model))
model.fit(x, y, batch_size=125, epochs=5, callbacks=[stop, within], verbose=0)
compare("restored", model)
print(json.dumps([found, fr._core.matmul_precision_computes("medium")]))
"""


@pytest.mark.parametrize("unit", ["", "none", "amx_portable"], ids=lambda unit: unit or "of the CPU")
def test_predict_uses_the_current_weights(unit, tmp_path):
    found, computes = last_json(run_program(CHANGES, tmp_path / "net.safetensors", env=environment(unit)))
    assert computes or unit in ("", "none")
    assert len(found) == 15
    for name, checks in found.items():
        for i, (current, changed) in enumerate(checks):
            assert current, f"{name}, comparison {i}"
            assert changed, f"{name}, comparison {i} compares nothing"


def test_validation_is_what_evaluate_gives():
    x, y = data(250)
    model = network("medium", optimizer="adam")
    history = model.fit(x, y, batch_size=50, epochs=2, validation_data=(x[:90], y[:90]), verbose=0)
    assert history.history["val_loss"][-1] == model.evaluate(x[:90], y[:90], verbose=0)
    assert model.test_on_batch(x[:90], y[:90]) == model.evaluate(x[:90], y[:90], verbose=0)


def test_models_take_turns_with_precisions():
    """compile changes what predict computes; a model that is not compiled takes the setting."""
    x = data(70)[0]
    model, expected = network("highest"), {}
    for word in ("highest", "high", "medium"):
        expected[word] = network(word).predict(x)
    for word in ("medium", "highest", "high", "medium", "highest"):
        model.compile("sgd", "mse", matmul_precision=word)
        assert same_bits([model.predict(x)], [expected[word]]), word
        bare = fr.Sequential(
            [fr.Input((70,)), *(layers.Dense(n, a) for n, a in ((131, "relu"), (97, "linear")))], seed=5
        )
        bare.set_weights(model.get_weights())
        with fr.matmul_precision(word):
            assert same_bits([bare.predict(x)], [expected[word]]), word
    assert np.array_equal(model.predict(x, steps=1, batch_size=20), expected["highest"][:20])


def test_all_forms_of_predict_have_the_precision():
    x, _ = data(70)
    model = network("medium")
    whole = model.predict(x)
    assert same_bits([model.predict(x, steps=2, batch_size=20)], [whole[:40]])
    assert same_bits([model(x)], [whole])
    assert same_bits([model.predict_on_batch(x)], [whole])
    assert same_bits([model.predict(x.astype("f8"))], [whole])
    entry = fr.Input((70,))
    graph = fr.Model(entry, layers.Dense(97)(layers.Dense(131, "relu")(entry)), seed=5)
    graph.compile("sgd", "mse", matmul_precision="medium")
    graph.set_weights(model.get_weights())
    assert same_bits([graph.predict(x)], [whole])
    frozen = model.freeze()
    assert same_bits([frozen(x)], [whole])


def test_the_core_refuses_other_words():
    core = network("medium")._core.require_network("predict")
    x = data(3)[0]
    for call in (lambda word: core.predict(x, None, word), lambda word: core.predict_if_finite(x, word)):
        with pytest.raises(ValueError, match="matmul_precision must be one of highest, high, medium"):
            call("bfloat16")
