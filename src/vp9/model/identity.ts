/** The VP9 endpoint's configuration space, as the modelled card shows it at power-on. */

import {
  advancedErrorReporting,
  buildConfigSpace,
  type ConfigSpaceModel,
  msi,
  powerManagement,
  rootComplexEndpoint,
} from "../../model/config-space-model.ts";
import { PCI_ID, REGISTER_BYTES, WINDOW_BYTES } from "../contract/registers.ts";

/** `functionLevelReset`: the card does not advertise it, but without it a guest can't reset the device. */
export function endpointConfigSpace(functionLevelReset = true): ConfigSpaceModel {
  return buildConfigSpace({
    ...PCI_ID,
    classCode: 0x058000,
    barBytes: [REGISTER_BYTES, WINDOW_BYTES, 0, 0, 0, 0],
    interruptPin: 1,
    capabilities: [
      powerManagement(0x80),
      msi(0x90),
      rootComplexEndpoint(0xc0, functionLevelReset),
      advancedErrorReporting(0x100),
    ],
  });
}
