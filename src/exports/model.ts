/** vfiokit/model: device models, and the vfio-user server that serves them. */
import "../os/bun-version.ts";
import "../schemes.ts";
import "./globals.ts";

export { DeviceError } from "../device/device.ts";
export {
  advancedErrorReporting,
  buildConfigSpace,
  type Capability,
  type ConfigSpaceModel,
  type ConfigSpaceOptions,
  msi,
  msix,
  pciExpress,
  powerManagement,
} from "../model/config-space-model.ts";
export { defineModel } from "../model/define-model.ts";
export type {
  CreateDevice,
  DeviceRemains,
  ModelDefinition,
  ModelSetup,
  PreparedModel,
} from "../model/definition.ts";
export type {
  BarModel,
  DeviceModel,
  Host,
  MemoryBar,
  ModelLog,
  RegisterBar,
  Wakeup,
} from "../model/device-model.ts";
export { DmaMapError, type DmaTable } from "../model/dma.ts";
export {
  type Fault,
  type FaultKinds,
  FaultPlan,
  listFaultKinds,
  parseFaults,
} from "../model/fault-injection.ts";
export {
  type ClientSource,
  type RunningModel,
  type StartOptions,
  startModel,
} from "../model/hosting/process.ts";
export { type ServedModel, type ServeModelOptions, serveModel } from "../model/hosting/served.ts";
export { startTrustingModel, type TrustingOptions } from "../model/hosting/trusting.ts";
export { type OpenModelOptions, openModel } from "../model/in-process.ts";
export type {
  BarDescription,
  BarDescriptions,
  CapabilitiesDescription,
  CreateHandlers,
  MemoryDescription,
  ModelDescription,
  ModelDevice,
  ModelHandlers,
  RegisterHandlers,
  RegistersDescription,
  TableOf,
} from "../model/model-description.ts";
export {
  isModelSpec,
  type ModelSpec,
  type NamedModel,
  namedModels,
  parseModelSpec,
  registerModel,
} from "../model/models.ts";
export {
  type ClientKeeper,
  type Clients,
  type ServeOptions,
  serve,
} from "../model/server.ts";
export type { DmaRange } from "../model/shared-mapping.ts";
export { SystemError } from "../os/errno.ts";
export { EventFd } from "../os/eventfd.ts";
export { Fd } from "../os/fd.ts";
