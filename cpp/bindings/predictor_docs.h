// What help() shows of a Predictor and of a call of one; tests run the example.
#pragma once

namespace fastreg::bindings {

inline constexpr const char* kPredictorDoc =
    "Predictor(network, feature_names=None, matmul_precision='highest', /)\n--\n\n"
    "A frozen network, made by Sequential.freeze(): p(x, out=None) gives its outputs for rows of features.\n\n"
    "Dropout is gone, batch normalisation is folded into the dense layers beside it and the weights are packed, so\n"
    "that a call is as short as it can be. It never changes, any number of threads may call it at once, and it can be\n"
    "pickled. A row's outputs depend neither on the other rows nor on the number of threads, and agree with those of\n"
    "Sequential.predict to rounding, not to the bit.\n\n"
    "Args:\n"
    "    network: What a model is inside. Call model.freeze() instead, which knows it.\n"
    "    feature_names: Tuple of the names of the columns, or None; with several inputs a tuple with those of each. A\n"
    "        frame with other names, or in another order, is refused.\n"
    "    matmul_precision: 'highest', 'high' or 'medium', as in freeze.\n\n"
    "Attributes:\n"
    "    n_features: Columns of x.\n"
    "    n_outputs: Columns of the result.\n"
    "    matmul_precision: How the matrix products are computed; a CPU without a unit for it computes 'highest'.\n"
    "    feature_names_in_: The names, as an array; absent where there are none. With several inputs it is a dict\n"
    "        with those of each, or None.\n\n"
    "Raises:\n"
    "    TypeError: If it is given something else, such as the model itself.\n"
    "    ValueError: If the precision is another word.\n\n"
    "Example:\n"
    "    >>> import numpy as np\n"
    "    >>> import fastreg as fr\n"
    "    >>> model = fr.Sequential([fr.Input((3,)), fr.layers.Dense(2)], seed=0)\n"
    "    >>> p = model.freeze()\n"
    "    >>> p.n_features, p.n_outputs\n"
    "    (3, 2)\n"
    "    >>> x, y = np.zeros((5, 3), np.float32), np.empty((5, 2), np.float32)\n"
    "    >>> p(x, out=y) is y\n"
    "    True\n";

inline constexpr const char* kPredictorCallDoc =
    "__call__($self, /, x, out=None)\n--\n\n"
    "The network's outputs for rows of features.\n\n"
    "Args:\n"
    "    x: Rows of features, (n, n_features). float32 in C order is read where it is, arrays of other numbers or\n"
    "        strides a block at a time; whatever else predict takes is converted first. Values are not looked at: a\n"
    "        row with a NaN gives NaN, the others are not touched by it. No rows give no rows.\n"
    "    out: Where to write: float32 (n, n_outputs), C-contiguous, writable, apart from x, without a mask. A new\n"
    "        array if None. A signal handler that raises, as that of Ctrl-C, may end a long call when only some rows\n"
    "        are written.\n\n"
    "Returns:\n"
    "    out, or the new float32 array (n, n_outputs).\n\n"
    "Raises:\n"
    "    ValueError: If a shape does not fit, x is a frame whose columns have other names than in fit, or holds\n"
    "        numbers beyond the range of float32 or a mask, or out cannot be written to or overlaps x.\n"
    "    TypeError: If x holds no real numbers, or out is no float32 array or has a mask.\n";

}  // namespace fastreg::bindings
