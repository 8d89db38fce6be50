/** All campaigns. */
import type { Campaign } from "./campaign.ts";
import { clientCampaign } from "./client.ts";
import { faultsCampaign } from "./faults.ts";
import { serverCampaign } from "./server.ts";

export const campaigns: readonly Campaign[] = [faultsCampaign, serverCampaign, clientCampaign];
