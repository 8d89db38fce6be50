/** `heir-program.ts FD`: goes on for a VP9 endpoint's model that is killed; FD is its end of the control socket. */
import { REGISTER_BYTES, WINDOW_BYTES } from "../../endpoint/registers.ts";
import { inherit } from "../inherit.ts";
import { endpointConfigSpace } from "./config.ts";

const barBytes = [REGISTER_BYTES, WINDOW_BYTES];
inherit(Number(process.argv[2]), { config: endpointConfigSpace(), msiVectors: 1, barBytes });
process.exit();
