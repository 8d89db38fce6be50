/**
 * Gives a user's files this library where none is installed: a register table may be in a driver's file, and a model's file
 * imports vfiokit/model.
 */
import { plugin } from "bun";

const doors = {
  vfiokit: () => import("vfiokit"),
  "vfiokit/registers": () => import("vfiokit/registers"),
  "vfiokit/model": () => import("vfiokit/model"),
};

plugin({
  name: "vfiokit",
  setup(build) {
    for (const [name, load] of Object.entries(doors))
      build.module(name, async () => ({ exports: { ...(await load()) }, loader: "object" }));
  },
});
