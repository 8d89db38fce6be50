/** All campaigns. */
import type { Campaign } from "./campaign.ts";
import { serverCampaign } from "./server.ts";

export const campaigns: readonly Campaign[] = [serverCampaign];
