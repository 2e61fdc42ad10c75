"""Averages of weights in place of the weights: where they are seen, and that training goes on as without."""

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers, optimizers
from programs import blobs, compiled, same_bits, tutorial_layers

X, Y = blobs(83, 10, 2)
VALIDATION = X[:20], Y[:20]


def net(optimizer=None):
    given = optimizer or optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
    return compiled(tutorial_layers(), optimizer=given, seed=11, metrics=["accuracy"])


def fit(model, given=(), epochs=3, **options):
    return model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, callbacks=list(given), **options)


class Averages(callbacks.Callback):
    """Notes the averages of the weights, those that are trained, and those that the model has, after each epoch."""

    def __init__(self):
        self.averages, self.seen = [], []

    def on_epoch_end(self, epoch, logs=None):
        core = self.model._core
        moments = core.trainer.get_moments()
        names = [name for name, _, _ in core.network.weight_info()]
        current = self.model.get_weights()
        self.seen.append(current)
        self.averages.append([moments.get(f"optimizer.average.{name}", weight)
                              for name, weight in zip(names, current, strict=True)])


def test_validation_uses_the_averages_and_training_does_not():
    plain, swapped, notes = net(), net(), Averages()
    trained = fit(plain, validation_data=VALIDATION).history
    found = fit(swapped, [notes, callbacks.SwapEMAWeights()], validation_data=VALIDATION).history
    assert found["loss"] == trained["loss"]
    assert same_bits(plain.get_weights(), swapped.get_weights())
    assert found["val_loss"] != trained["val_loss"]
    other = net()
    other.build(10)
    for epoch, averages in enumerate(notes.averages):
        other.set_weights(averages)
        values = other.evaluate(*VALIDATION, verbose=0, return_dict=True)
        assert found["val_loss"][epoch] == pytest.approx(values["loss"], rel=1e-6)
        assert not same_bits(averages, notes.seen[epoch])


@pytest.mark.parametrize("on_epoch", [False, True])
def test_callbacks_after_it_see_the_averages_if_wished(on_epoch, tmp_path):
    model, before, after = net(), Averages(), Averages()
    saves = callbacks.ModelCheckpoint(tmp_path / "{epoch}.safetensors", save_weights_only=True)
    fit(model, [before, callbacks.SwapEMAWeights(swap_on_epoch=on_epoch), after, saves])
    plain = net()
    fit(plain)
    assert same_bits(plain.get_weights(), model.get_weights())
    for epoch in range(3):
        expected = before.averages[epoch] if on_epoch else before.seen[epoch]
        assert same_bits(after.seen[epoch], expected)
        other = net()
        other.build(10)
        other.load_weights(tmp_path / f"{epoch + 1}.safetensors")
        assert same_bits(other.get_weights(), expected)
    fit(model, epochs=2)
    fit(plain, epochs=2)
    assert same_bits(plain.get_weights(), model.get_weights())


def test_an_exception_leaves_the_trained_weights_to_go_on_with():
    model, plain = net(), net()

    def fail(epoch, logs):
        if epoch == 1:
            raise LookupError("mine")

    with pytest.raises(LookupError):
        fit(model, [callbacks.SwapEMAWeights(True), callbacks.LambdaCallback(on_epoch_end=fail)])
    fit(plain, epochs=2)
    assert same_bits(plain.get_weights(), model.get_weights())


def test_averages_that_a_fit_has_left_in_the_model_stay_there():
    """Nothing is swapped then, neither what is scored nor what the next fit goes on from."""
    model, plain = net(), net()
    for one in (model, plain):
        fit(one)
    shown = model.get_weights()
    expected = model.evaluate(X, Y, verbose=0)
    assert model.evaluate(X, Y, verbose=0, callbacks=[callbacks.SwapEMAWeights()]) == expected
    assert same_bits([model.predict(X, callbacks=[callbacks.SwapEMAWeights()])], [plain.predict(X)])
    assert same_bits(model.get_weights(), shown)
    for one in (model, plain):
        fit(one, epochs=2)
    assert same_bits(model.get_weights(), plain.get_weights())


def test_an_optimizer_without_averages_is_refused():
    with pytest.raises(ValueError, match=r"^SwapEMAWeights: the optimizer must keep averages of the weights"):
        fit(net("adam"), [callbacks.SwapEMAWeights()])
    with pytest.raises(TypeError, match=r"^SwapEMAWeights: swap_on_epoch must be True or False"):
        callbacks.SwapEMAWeights(1)


def test_single_batches_train_the_weights_and_not_their_averages():
    """As in Keras, whose averages come into the model at the end of a fit alone."""
    averaged = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(0.1, use_ema=True), n_features=10)
    plain = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(0.1), n_features=10)
    for model in (averaged, plain):
        for _ in range(3):
            model.train_on_batch(X, X[:, 0])
    assert same_bits(averaged.get_weights(), plain.get_weights())
    whole = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(0.1, use_ema=True), n_features=10)
    whole.fit(X, X[:, 0], batch_size=None, epochs=3, shuffle=False, verbose=0)
    whole.train_on_batch(X, X[:, 0])
    averaged.train_on_batch(X, X[:, 0])
    assert same_bits(whole.get_weights(), averaged.get_weights())
    assert np.isfinite(whole.evaluate(X, X[:, 0], verbose=0))
    assert isinstance(whole, fr.Model)


def raises(hook):
    def fail(*arguments):
        raise LookupError("mine")

    return callbacks.LambdaCallback(**{hook: fail})


@pytest.mark.parametrize("hook", ["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"])
@pytest.mark.parametrize("first", [False, True])
def test_weights_are_back_after_an_exception_in_an_evaluation_or_prediction(hook, first):
    """Training went on from the averages."""
    given = [raises(hook), raises(hook.replace("test", "predict")), callbacks.SwapEMAWeights()]
    model, plain = net(), net()
    for one in (model, plain):
        for i in range(5):
            one.train_on_batch(X[i::5], Y[i::5])
    given = given if first else given[::-1]
    for call, arguments in (("evaluate", (X, Y)), ("predict", (X,))):
        with pytest.raises(LookupError, match="mine"):
            getattr(model, call)(*arguments, verbose=0, callbacks=given)
        assert same_bits(model.get_weights(), plain.get_weights())
    fit(model)
    fit(plain)
    assert same_bits(model.get_weights(), plain.get_weights())


@pytest.mark.parametrize("hook", ["on_test_begin", "on_test_batch_end", "on_test_end", "on_epoch_end"])
@pytest.mark.parametrize("on_epoch", [False, True])
def test_weights_are_back_after_an_exception_in_a_fit(hook, on_epoch):
    models = net(), net()
    for model, swap in zip(models, ([], [callbacks.SwapEMAWeights(on_epoch)]), strict=True):
        with pytest.raises(LookupError, match="mine"):
            fit(model, [*swap, raises(hook)], validation_data=VALIDATION)
    assert same_bits(*(model.get_weights() for model in models))
    for model in models:
        fit(model)
    assert same_bits(*(model.get_weights() for model in models))
