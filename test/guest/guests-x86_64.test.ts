import { test } from "bun:test";
import { runInside, TIMEOUT_MS, testGuest } from "./guests.ts";

testGuest("x86_64");

test(
  "in an x86_64 guest the documents' commands print what they show",
  () => runInside({ arch: "x86_64", devices: ["edu", "nvme", "igb"] }, 2, "true", "documents"),
  TIMEOUT_MS,
);
