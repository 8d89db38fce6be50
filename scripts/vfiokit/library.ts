/**
 * Gives a user's files this library where none is installed: a register table may be in a driver's file, and a model's file
 * imports vfiokit/model.
 */
import { plugin } from "bun";

/** By their paths: their names lead back here. */
const doors = {
  vfiokit: () => import("../../src/index.ts"),
  "vfiokit/registers": () => import("../../src/exports/registers.ts"),
  "vfiokit/model": () => import("../../src/exports/model.ts"),
};

plugin({
  name: "vfiokit",
  setup(build) {
    for (const [name, load] of Object.entries(doors))
      build.module(name, async () => ({ exports: { ...(await load()) }, loader: "object" }));
  },
});
