// examples/pool.ts: how it ends, besides the end that tests/examples_test.ts sees.

import { assert, assertEquals } from "@std/assert";
import { childrenOf, lives, until } from "./redis.ts";
