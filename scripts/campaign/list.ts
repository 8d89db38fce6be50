/** All campaigns. */
import { type Campaign, campaign } from "./campaign.ts";
import { clientCampaign } from "./client.ts";
import { faultsCampaign } from "./faults.ts";
import { serverCampaign } from "./server.ts";
import { soak, soakGuests } from "./soak.ts";

export const campaigns: readonly Campaign[] = [
  faultsCampaign,
  serverCampaign,
  clientCampaign,
  campaign(soak),
  campaign(soakGuests),
];
