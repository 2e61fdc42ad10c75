"""The promise "resume is exact": k epochs, save, load in a new process, k more, equal 2k epochs bit for bit."""
from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import threading

import fastreg as fr
import numpy as np
import pytest
from cases import SCHEDULE_CASES, USUAL_OPTIMIZERS
from fastreg import callbacks, optimizers, schedules
from programs import blobs, compiled, last_json, run_program, same_bits, trainer_of, tutorial_layers, wait_for_fit

N, BATCH, K = 83, 16, 3

# Every optimizer, each with and without a schedule that changes within the run and crosses the point of the save.
RATES = {name: case.made for name, case in SCHEDULE_CASES.items()}
OPTIMIZERS = {
    **{name: case.made for name, case in USUAL_OPTIMIZERS.items()},
    "clipnorm": optimizers.Adam(clipnorm=0.1),
    "clipvalue": optimizers.SGD(clipvalue=0.01),
    "global_clipnorm": optimizers.RMSprop(global_clipnorm=0.1),
    "averages": optimizers.Adam(use_ema=True, ema_momentum=0.9),
    "averages that overwrite": optimizers.SGD(momentum=0.9, use_ema=True, ema_overwrite_frequency=4),
    "accumulation": optimizers.Adam(gradient_accumulation_steps=4, use_ema=True, clipnorm=0.1, weight_decay=0.1),
}
CASES = [(name, "cosine") for name in OPTIMIZERS] + [("adam", rate) for rate in RATES if rate != "cosine"]


def with_rate(name, rate):
    return dataclasses.replace(OPTIMIZERS[name], learning_rate=rate)


def model(name, rate):
    return compiled(tutorial_layers(), optimizer=with_rate(name, RATES[rate]), seed=11, metrics=["accuracy"])


def fit(model, epochs, **keywords):
    x, y = blobs(N, 10, 2)
    return model.fit(x, y, batch_size=BATCH, epochs=epochs, validation_split=0.2, verbose=0, **keywords)


RESUME = """
import json, sys
from pathlib import Path
import numpy as np
import fastreg as fr
from test_resume import K, fit
folder = Path(sys.argv[1])
logs = {}
for path in sorted(folder.glob("*.safetensors")):
    model = fr.load(str(path))
    history = fit(model, K)
    logs[path.stem] = [list(history.epoch), history.history]
    np.savez(folder / (path.stem + ".npz"), *model.get_weights())
print(json.dumps(logs))
"""


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """Saves every case after K epochs and goes on in one new process: weights and logs by case."""
    folder = tmp_path_factory.mktemp("resume")
    for name, rate in CASES:
        half = model(name, rate)
        fit(half, K)
        half.save(str(folder / f"{name}-{rate}.safetensors"))
    logs = last_json(run_program(RESUME, folder))
    results = {}
    for case, (epochs, history) in logs.items():
        with np.load(folder / f"{case}.npz") as file:
            results[case] = [file[f"arr_{i}"] for i in range(len(file.files))], epochs, history
    return results


@pytest.mark.parametrize(("name", "rate"), CASES)
def test_save_and_load_in_a_new_process_changes_nothing(name, rate, resumed):
    whole = model(name, rate)
    history = fit(whole, 2 * K).history
    weights, epochs, logs = resumed[f"{name}-{rate}"]
    assert same_bits(whole.get_weights(), weights)
    assert logs == {key: values[K:] for key, values in json.loads(json.dumps(history)).items()}
    assert epochs == list(range(K)), "counted within a call, as in Keras"


@pytest.mark.parametrize(("name", "rate"), CASES)
def test_fit_called_twice_equals_once(name, rate):
    whole, parts = model(name, rate), model(name, rate)
    fit(whole, 2 * K)
    for _ in range(2):
        fit(parts, K)
    assert same_bits(whole.get_weights(), parts.get_weights())


def test_moments_schedule_and_random_streams_are_all_part_of_it():
    """Each piece matters here: without any one of them the equality above would have to fail."""
    whole = model("adam", "cosine")
    fit(whole, 2 * K)
    half = model("adam", "cosine")
    fit(half, K)
    fresh = model("adam", "cosine")
    fresh.build(10)
    fresh.set_weights(half.get_weights())
    fit(fresh, K)
    assert not same_bits(whole.get_weights(), fresh.get_weights())


def test_without_the_optimizer_a_file_keeps_weights_only(tmp_path):
    """`include_optimizer=False`: same predictions, but training goes on with fresh moments."""
    half = model("adam", "constant")
    fit(half, K)
    half.save(str(tmp_path / "with.safetensors"))
    half.save(str(tmp_path / "without.safetensors"), include_optimizer=False)
    whole, bare = fr.load(str(tmp_path / "with.safetensors")), fr.load(str(tmp_path / "without.safetensors"))
    assert same_bits(half.get_weights(), bare.get_weights())
    assert (tmp_path / "without.safetensors").stat().st_size < (tmp_path / "with.safetensors").stat().st_size
    x, _ = blobs(N, 10, 2)
    assert same_bits([half.predict(x)], [bare.predict(x)])
    fit(half, 1)
    fit(whole, 1)
    assert same_bits(half.get_weights(), whole.get_weights())
    bare.compile(optimizer=with_rate("adam", RATES["constant"]), loss="binary_crossentropy", metrics=["accuracy"])
    fit(bare, 1)
    assert not same_bits(half.get_weights(), bare.get_weights())


def test_saving_does_not_disturb_the_run(tmp_path):
    class Saves(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.save(str(tmp_path / f"{epoch}.safetensors"))

    plain, saving = model("adam", "cosine"), model("adam", "cosine")
    fit(plain, 2 * K)
    fit(saving, 2 * K, callbacks=[Saves()])
    assert same_bits(plain.get_weights(), saving.get_weights())


def test_a_file_saved_while_another_thread_fits_is_of_one_step(tmp_path):
    x, y = blobs(N, 10, 2)
    steps = {"batch_size": 2, "epochs": 1, "shuffle": False, "verbose": 0}
    begun, signal = model("adam", "constant"), callbacks.StopSignal()
    keywords = {"steps_per_epoch": 10**7, "callbacks": [signal], **steps}
    begun.build(10)
    thread = threading.Thread(target=begun.fit, args=(x, y), kwargs=keywords)
    thread.start()
    try:
        wait_for_fit(begun)
        for i in range(5):
            begun.save(tmp_path / f"{i}.safetensors")
    finally:
        signal.set()
        thread.join()
    for path in tmp_path.iterdir():
        weights, moments, step, _, _ = trainer_of(fr.load(path)).get_state()
        alone = model("adam", "constant")
        alone.fit(x, y, steps_per_epoch=step, **steps)
        expected = trainer_of(alone).get_state()
        assert same_bits([*weights, *moments.values()], [*expected[0], *expected[1].values()])
        assert expected[2] == step


@pytest.mark.parametrize("epoch", range(2 * K - 1))
def test_a_file_saved_by_a_callback_resumes_where_it_was(epoch, tmp_path):
    class Saves(callbacks.Callback):
        def on_epoch_end(self, now, logs=None):
            if now == epoch:
                self.model.save(str(tmp_path / "net.safetensors"))

    whole = model("adam", "cosine")
    fit(whole, 2 * K, callbacks=[Saves()])
    late = fr.load(str(tmp_path / "net.safetensors"))
    fit(late, 2 * K - 1 - epoch)
    assert same_bits(whole.get_weights(), late.get_weights())


@pytest.mark.parametrize("make", [
    lambda: with_rate("adam", schedules.CosineDecay(0.05, schedules.Share(1.0))),
    lambda: with_rate("adam", schedules.ExponentialDecay(0.05, schedules.Epochs(1), 0.5)),
    lambda: optimizers.SGD(0.05, weight_decay=schedules.PolynomialDecay(0.5, schedules.Share(0.9))),
])
def test_steps_between_two_fits_follow_the_last_run_in_files_too(make, tmp_path):
    """A schedule in epochs has a rate between two fits only where the length of the last one is known."""
    kept = compiled(tutorial_layers(), optimizer=make(), seed=11)
    fit(kept, K)
    kept.save(tmp_path / "net.safetensors")
    loaded = fr.load(tmp_path / "net.safetensors")
    assert loaded.learning_rate == kept.learning_rate
    x, y = blobs(BATCH, 10, 2)
    assert loaded.train_on_batch(x, y) == kept.train_on_batch(x, y)
    assert same_bits(loaded.get_weights(), kept.get_weights())


def test_a_run_of_more_epochs_than_can_be_counted_is_saved(tmp_path):
    def stop(epoch, logs):
        huge.stop_training = True

    huge = model("adam", "cosine")
    fit(huge, 2**62, callbacks=[callbacks.LambdaCallback(on_epoch_end=stop)])
    huge.save(tmp_path / "net.safetensors")
    assert same_bits(fr.load(tmp_path / "net.safetensors").get_weights(), huge.get_weights())


def test_a_second_generation_is_as_exact(tmp_path):
    whole, part = model("rmsprop", "cosine"), model("rmsprop", "cosine")
    fit(whole, 2 * K)
    for _ in range(2 * K):
        fit(part, 1)
        part.save(str(tmp_path / "net.safetensors"))
        part = fr.load(str(tmp_path / "net.safetensors"))
    assert same_bits(whole.get_weights(), part.get_weights())


@pytest.mark.parametrize("change", [
    lambda model: model.set_weights([weight + 0.5 for weight in model.get_weights()]),
    lambda model: model.layers[0].set_weights([weight + 0.5 for weight in model.layers[0].get_weights()]),
    lambda model: model.weights[0].assign(np.full(model.weights[0].shape, 0.5)),
], ids=["set_weights", "layer.set_weights", "assign"])
@pytest.mark.parametrize("copied", ["file", "pickle", "copy", "trainable"])
def test_weights_that_were_set_where_averages_were_are_what_a_copy_goes_on_from(change, copied, tmp_path):
    """Not the weights from before, which the averages of a fit with use_ema stand in front of."""
    whole = model("averages", "constant")
    fit(whole, K)
    change(whole)
    whole.save(tmp_path / "net.safetensors")
    made = {"file": lambda: fr.load(tmp_path / "net.safetensors"), "pickle": lambda: pickle.loads(pickle.dumps(whole)),
            "copy": lambda: copy.deepcopy(whole), "trainable": lambda: copy.copy(whole)}[copied]()
    if copied == "trainable":
        made.layers[2].trainable = False  # makes the network anew; the dropout has no moments to lose
    for one in (whole, made):
        fit(one, K)
    assert same_bits(whole.get_weights(), made.get_weights())


def test_set_weights_and_evaluate_leave_the_moments_alone():
    """Neither reading nor writing back what is there changes the way of the training."""
    plain, touched = model("adam", "cosine"), model("adam", "cosine")
    x, y = blobs(N, 10, 2)
    for _ in range(3):
        fit(plain, 1)
        fit(touched, 1)
        touched.set_weights(touched.get_weights())
        touched.evaluate(x, y, verbose=0)
        touched.predict(x)
        touched.summary(print_fn=lambda *_: None)
    assert same_bits(plain.get_weights(), touched.get_weights())


def test_initial_epoch_counts_as_in_keras():
    """`epochs` is the index of the last epoch, not a number of them, where initial_epoch is given."""
    whole, parts = model("adam", "cosine"), model("adam", "cosine")
    fit(whole, 2 * K)
    assert list(fit(parts, K).epoch) == list(range(K))
    assert list(fit(parts, 2 * K, initial_epoch=K).epoch) == list(range(K, 2 * K))
    assert same_bits(whole.get_weights(), parts.get_weights())
