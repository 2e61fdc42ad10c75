"""Short messages as multi-hot words, spam or not: two hidden layers, binary cross-entropy, precision and recall."""
import csv
import gzip
import json
import os
import re
import sys

import numpy as np
from fastreg import Sequential, layers, metrics

with gzip.open(os.path.join(sys.argv[1], "sms_spam.csv.gz"), "rt", encoding="utf-8") as file:
    header, *rows = csv.reader(file)
text_column = max(range(2), key=lambda i: len(rows[0][i]) + len(rows[1][i]))
texts = [re.findall(r"[a-z']+", row[text_column].lower()) for row in rows]
y = np.array([row[1 - text_column] == "spam" for row in rows], dtype="float32")
counts = {}
for words in texts:
    for word in words:
        counts[word] = counts.get(word, 0) + 1
vocabulary = {word: i for i, word in enumerate(sorted(counts, key=lambda w: (-counts[w], w))[:1000])}
sequences = [[vocabulary[word] for word in words if word in vocabulary] for words in texts]
x = np.zeros((len(texts), len(vocabulary)), dtype="float32")
for i, sequence in enumerate(sequences):
    x[i, sequence] = 1.0

model = Sequential(
    [
        layers.Input((len(vocabulary),)),
        layers.Dense(16, activation="relu"),
        layers.Dense(16, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
chosen = ["accuracy", metrics.Precision(name="precision"), metrics.Recall(name="recall")]
model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=chosen)
history = model.fit(x[:4000], y[:4000], epochs=15, batch_size=512, validation_data=(x[4000:], y[4000:]), verbose=0)
found = model.evaluate(x[4000:], y[4000:], verbose=0, return_dict=True)
print(
    json.dumps(
        {
            "keys": [sorted(history.history), sorted(found)],
            "shapes": [list(model.predict(x[:3], verbose=0).shape)],
            "weights": [list(np.shape(w)) for w in model.get_weights()],
            "scores": {"accuracy": float(found["accuracy"])},
        }
    )
)
