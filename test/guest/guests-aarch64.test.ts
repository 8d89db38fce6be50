import { testGuest } from "./guests.ts";

testGuest("aarch64");
