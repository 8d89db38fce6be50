/** `heir-program.ts FD`: goes on for a VP9 endpoint's model that is killed; FD is its end of the control socket. */

import { inherit } from "../../model/inherit.ts";
import { REGISTER_BYTES, WINDOW_BYTES } from "../contract/registers.ts";
import { endpointConfigSpace } from "./identity.ts";

const barBytes = [REGISTER_BYTES, WINDOW_BYTES];
inherit(Number(process.argv[2]), { config: endpointConfigSpace(), msiVectors: 1, barBytes });
process.exit();
