"""What PyPI jsonsubschema says about pairs of schemas, and what jsonschema says about witnesses.

    containment.py ask SEED COUNT < rows     pairs: the rows given, then COUNT made from SEED
    containment.py check < rows              the rows whose witness is none

A row is one JSON object a line: {"outer", "inner"}, and {"witness"} where one is to be checked. `ask`
answers with {"outer", "inner", "theirs": "yes" | "no" | "undecided", "witness": null | [value]}: a witness is
a value that the inner schema admits and the outer one refuses, found among values made from both.
"""

import contextlib
import io
import itertools
import json
import random
import signal
import sys

import jsonschema
from jsonsubschema import isSubschema

# Seconds that one question may take; its regular expressions can run away.
PATIENCE = 2
# Values that are tried for a pair.
TRIED = 600


def validator(schema):
    return jsonschema.Draft202012Validator(schema)


def theirs(outer, inner):
    """Its answer: it decides by a falsy answer too, and gives up by raising."""
    def late(*_):
        raise TimeoutError
    signal.signal(signal.SIGALRM, late)
    signal.alarm(PATIENCE)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return "yes" if isSubschema(inner, outer) else "no"
    except Exception:
        return "undecided"
    finally:
        signal.alarm(0)


def literals(schema):
    """Values, bounds and their neighbours that a schema names."""
    if isinstance(schema, list):
        for item in schema:
            yield from literals(item)
        return
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        if key == "const":
            yield value
        elif key == "enum":
            yield from value
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            if key in ("minLength", "maxLength"):
                yield from ("a" * n for n in range(max(0, int(value) - 1), int(value) + 2))
            elif key in ("minItems", "maxItems"):
                yield from ([1] * n for n in range(max(0, int(value) - 1), int(value) + 2))
            else:
                yield from (value - 1, value - 0.5, value, value + 0.5, value + 1, value * 2)
        else:
            yield from literals(value)


def members(schema):
    """Names of members that a schema declares or requires."""
    if isinstance(schema, list):
        return set().union(*map(members, schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    names = set(schema.get("properties", {})) | set(schema.get("required", []))
    return names.union(*(members(value) for value in schema.values())) if schema else names


def values(outer, inner, dice):
    """Values that may tell two schemas apart."""
    plain = [None, True, False, 0, 1, -1, 0.5, 7, 100, "", "a", "abc", "2020-01-01", [], [1], ["a"], {}]
    plain += list(literals(outer)) + list(literals(inner))
    yield from plain
    names = sorted(members(outer) | members(inner))
    for size in range(1, min(len(names), 3) + 1):
        for some in itertools.combinations(names, size):
            for _ in range(6):
                yield {name: dice.choice(plain) for name in some}
    for _ in range(TRIED):
        if names:
            yield {name: dice.choice(plain) for name in names if dice.random() < 0.8}
        yield [dice.choice(plain) for _ in range(dice.randrange(4))]


def witness(outer, inner, dice):
    try:
        outer, inner = validator(outer), validator(inner)
        for value in itertools.islice(values(outer.schema, inner.schema, dice), 2 * TRIED):
            if inner.is_valid(value) and not outer.is_valid(value):
                return [value]
    except Exception:
        pass
    return None


def made(dice, depth=0):
    """A schema of the fragment that jsonsubschema knows."""
    kinds = ["integer", "number", "string", "boolean", "null", "enum", "many"]
    kind = dice.choice(kinds if depth > 1 else kinds + ["object", "object", "array", "anyOf", "allOf"])
    maybe = lambda chance=0.4: dice.random() < chance
    if kind in ("integer", "number"):
        schema = {"type": kind}
        low = dice.randrange(-3, 4)
        if maybe():
            schema["minimum"] = low
        if maybe():
            schema["maximum"] = low + dice.randrange(0, 6)
        if maybe(0.2):
            schema["multipleOf"] = dice.choice([1, 2, 3])
        return schema
    if kind == "string":
        schema = {"type": "string"}
        low = dice.randrange(0, 3)
        if maybe():
            schema["minLength"] = low
        if maybe():
            schema["maxLength"] = low + dice.randrange(0, 4)
        if maybe(0.2):
            schema["pattern"] = dice.choice(["^a+$", "^[a-z]*$", "^a$", "^(a|b)$"])
        return schema
    if kind == "enum":
        return {"enum": dice.sample(["a", "b", "abc", 1, 2, 7, True, None], dice.randrange(1, 4))}
    if kind == "many":
        return {"type": dice.sample(["integer", "string", "null", "boolean"], 2)}
    if kind == "array":
        schema = {"type": "array"}
        if maybe(0.7):
            schema["items"] = made(dice, depth + 1)
        if maybe(0.3):
            schema["minItems"] = dice.randrange(0, 3)
        if maybe(0.3):
            schema["maxItems"] = dice.randrange(1, 4)
        return schema
    if kind in ("anyOf", "allOf"):
        return {kind: [made(dice, depth + 1) for _ in range(2)]}
    names = dice.sample(["a", "b", "c"], dice.randrange(1, 4))
    schema = {"type": "object", "properties": {name: made(dice, depth + 1) for name in names}}
    if maybe(0.6):
        schema["required"] = dice.sample(names, dice.randrange(1, len(names) + 1))
    if maybe(0.5):
        schema["additionalProperties"] = False
    return schema


def varied(schema, dice):
    """A schema not far from this one: pairs of strangers are rarely contained in one another."""
    if not isinstance(schema, dict) or dice.random() < 0.15:
        return schema
    other = json.loads(json.dumps(schema))
    for key in list(other):
        if key in ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"):
            if dice.random() < 0.5:
                other[key] += dice.choice([-1, 0, 1, 2])
                if key not in ("minimum", "maximum"):
                    other[key] = max(0, other[key])
            elif dice.random() < 0.5:
                del other[key]
        elif key in ("required", "multipleOf", "pattern", "additionalProperties"):
            if dice.random() < 0.4:
                del other[key]
        elif key == "enum" and dice.random() < 0.5:
            other[key] = other[key] + ["new"]
        elif key == "properties":
            other[key] = {name: varied(value, dice) for name, value in other[key].items()}
        elif key == "items":
            other[key] = varied(other[key], dice)
        elif key in ("anyOf", "allOf"):
            other[key] = [varied(value, dice) for value in other[key]]
        elif key == "type" and other[key] == "integer" and dice.random() < 0.3:
            other[key] = "number"
    return other


def asked(rows, seed, count):
    yield from ((row["outer"], row["inner"]) for row in rows)
    dice = random.Random(seed)
    for _ in range(count):
        outer = made(dice)
        pair = [outer, varied(outer, dice) if dice.random() < 0.8 else made(dice)]
        dice.shuffle(pair)
        yield tuple(pair)


def main():
    rows = [json.loads(line) for line in sys.stdin if line.strip()]
    if sys.argv[1] == "check":
        for row in rows:
            value = row["witness"]
            if not validator(row["inner"]).is_valid(value) or validator(row["outer"]).is_valid(value):
                print(json.dumps(row))
        return
    for at, (outer, inner) in enumerate(asked(rows, int(sys.argv[2]), int(sys.argv[3]))):
        found = witness(outer, inner, random.Random(at))
        said = {"outer": outer, "inner": inner, "theirs": theirs(outer, inner), "witness": found}
        print(json.dumps(said))


main()
