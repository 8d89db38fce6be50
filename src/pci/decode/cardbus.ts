/** The header of a CardBus bridge, type 2: PC Card Standard 8.0, volume 3, section 5. */
import { CardBusConfig } from "../config-offsets.ts";
import type { DecodedBridge, DecodedWindow } from "./bridge.ts";
import { flag, type RegisterLayout } from "./capabilities/register-layout.ts";
import type { Scope } from "./capabilities/scope.ts";

const secondaryStatus: RegisterLayout = {
  name: "secondaryStatus",
  offset: CardBusConfig.SECONDARY_STATUS,
  sizeBytes: 2,
  label: "Secondary status:",
  fields: {
    masterDataParityError: flag(8, ""),
    signaledTargetAbort: flag(11, ""),
    receivedTargetAbort: flag(12, ""),
    receivedMasterAbort: flag(13, ""),
    receivedSystemError: flag(14, ""),
    detectedParityError: flag(15, ""),
  },
  lines: ({ receivedSystemError }) => (receivedSystemError ? ["Secondary status: SERR"] : []),
};

const bridgeControl: RegisterLayout = {
  name: "bridgeControl",
  offset: CardBusConfig.BRIDGE_CONTROL,
  sizeBytes: 2,
  label: "BridgeCtl:",
  fields: {
    parityErrorResponseEnable: flag(0, "Parity"),
    serrEnable: flag(1, "SERR"),
    isaEnable: flag(2, "ISA"),
    vgaEnable: flag(3, "VGA"),
    masterAbortMode: flag(5, "MAbort"),
    cardBusReset: flag(6, ">Reset"),
    interruptEnable16Bit: flag(7, "16bInt"),
    memory0PrefetchEnable: flag(8, ""),
    memory1PrefetchEnable: flag(9, ""),
    writePostingEnable: flag(10, "PostWrite"),
  },
};

export const cardBusRegisters: readonly RegisterLayout[] = [secondaryStatus, bridgeControl];

export function decodeCardBus(scope: Scope): DecodedBridge {
  const at = CardBusConfig;
  const legacy = scope.read(at.LEGACY_MODE_BASE, 2);
  return {
    primaryBus: scope.read(at.PRIMARY_BUS, 1),
    secondaryBus: scope.read(at.CARD_BUS, 1),
    subordinateBus: scope.read(at.SUBORDINATE_BUS, 1),
    secondaryLatencyTimer: scope.read(at.LATENCY_TIMER, 1),
    windows: [memory(scope, 0), memory(scope, 1), io(scope, 0), io(scope, 1)],
    ...(legacy > 0 && { legacyModeBase: legacy }),
  };
}

const hex = (value: number) => `0x${value.toString(16).padStart(8, "0")}`;

function window(
  kind: DecodedWindow["kind"],
  addressBits: 16 | 32,
  base: number,
  limit: number,
): DecodedWindow {
  return { kind, base: hex(base), limit: hex(limit), addressBits, enabled: base <= limit };
}

const PAGE_BYTES = 4096;
const WINDOW_BYTES = 8;

/** In pages; the window includes the limit's page. */
function memory(scope: Scope, index: 0 | 1): DecodedWindow {
  const page = (offset: number) => scope.bits(offset + index * WINDOW_BYTES, 12, 31) * PAGE_BYTES;
  const prefetchable = scope.bits(CardBusConfig.BRIDGE_CONTROL, 8 + index) === 1;
  return window(
    prefetchable ? "prefetchable" : "memory",
    32,
    page(CardBusConfig.MEMORY_BASE_0),
    page(CardBusConfig.MEMORY_LIMIT_0) + PAGE_BYTES - 1,
  );
}

/** In double words. The base's bit 0 says that addresses have 32 bits. */
function io(scope: Scope, index: 0 | 1): DecodedWindow {
  const base = CardBusConfig.IO_BASE_0 + index * WINDOW_BYTES;
  const addressBits = scope.bits(base, 0) === 1 ? 32 : 16;
  const address = (offset: number) => scope.bits(offset, 2, addressBits - 1) * 4;
  return window("io", addressBits, address(base), address(base + 4) + 3);
}
