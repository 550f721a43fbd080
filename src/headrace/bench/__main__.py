"""`python -m headrace.bench [--quick] [--json] ...`."""

import argparse

from headrace.bench.main import main
from headrace.bench.options import Options


def _options() -> Options:
    parser = argparse.ArgumentParser("headrace bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="show that it runs, in a few seconds")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--database-url", help="a PostgreSQL server instead of an embedded one")
    parser.add_argument("--redis-url", help="a Redis or Valkey server, for modes with a lane")
    parser.add_argument("--concurrency", type=int, default=Options().concurrency)
    parser.add_argument("--repetitions", type=int, default=Options().repetitions)
    given = vars(parser.parse_args())
    quick = given.pop("quick")
    options = Options(**given)
    return options.quick() if quick else options


if __name__ == "__main__":
    main(_options())
