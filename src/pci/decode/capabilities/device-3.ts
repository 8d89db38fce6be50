/** Device 3 Extended Capability: PCIe 6.0, section 7.7.9. */
import type { CapabilityLayout } from "./capability.ts";
import { flitLinkWidth } from "./express-link.ts";
import { type Condition, choice, flag } from "./register-layout.ts";

const EXIT_LATENCIES = [
  "Less than 1us",
  "1us to less than 2us",
  "2us to less than 4us",
  "4us to less than 8us",
  "8us to less than 16us",
  "16us to less than 32us",
  "32us-64us",
  "More than 64us",
];
const supportsL0p: Condition = (scope) => scope.bits(4, 3) === 1;

export const device3: CapabilityLayout = {
  title: "Device 3",
  registers: [
    {
      name: "deviceCapabilities3",
      offset: 0x04,
      sizeBytes: 4,
      label: "DevCap3:",
      fields: {
        dmwrRequestRoutingSupported: flag(0, "DMWr Request Routing{},"),
        fourteenBitTagCompleterSupported: flag(1, "14-Bit Tag Completer{},"),
        fourteenBitTagRequesterSupported: flag(2, "14-Bit Tag Requester"),
        l0pSupported: flag(3, "\n L0p"),
        portL0pExitLatency: choice(4, 6, ", Port L0p Exit Latency: {},", EXIT_LATENCIES, supportsL0p),
        retimerL0pExitLatency: choice(7, 9, "Retimer L0p Exit Latency: {}", EXIT_LATENCIES, supportsL0p),
        uioMemRdWrCompleterSupported: flag(10, "\n UIO Mem RdWr Completer{},"),
        uioMemRdWrRequesterSupported: flag(11, "UIO Mem RdWr Requester"),
      },
    },
    {
      name: "deviceControl3",
      offset: 0x08,
      sizeBytes: 2,
      label: "DevCtl3:",
      fields: {
        dmwrRequesterEnable: flag(0, "DMWr Requester{},"),
        dmwrEgressBlocking: flag(1, "DMWr Egress Blocking{},"),
        fourteenBitTagRequesterEnable: flag(2, "14-Bit Tag Requester"),
        l0pEnable: flag(3, "\n L0p{},"),
        targetLinkWidth: flitLinkWidth(4, "Target Link Width: {}"),
        uioMemRdWrRequesterEnable: flag(7, "\n UIO Mem RdWr Requester{},"),
        uioRequest256ByteBoundaryDisable: {
          ...flag(8, ""),
          // The bit disables the boundary.
          text: (scope) => `UIO Request 256B Boundary${scope.bits(8, 8) ? "-" : "+"}`,
        },
      },
    },
    {
      name: "deviceStatus3",
      offset: 0x0c,
      sizeBytes: 2,
      label: "DevSta3:",
      fields: {
        initialLinkWidth: flitLinkWidth(0, "Initial Link Width: {},"),
        segmentCaptured: flag(3, "Segment Captured{},"),
        remoteL0pSupported: flag(4, "Remote L0p"),
      },
    },
  ],
};
