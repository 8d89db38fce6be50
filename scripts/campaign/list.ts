/** All campaigns. */
import { type Campaign, campaign } from "./campaign.ts";
import { clientCampaign } from "./client.ts";
import { faultsCampaign } from "./faults.ts";
import { inputsCampaign } from "./inputs.ts";
import { killsCampaign } from "./kills.ts";
import { serverCampaign } from "./server.ts";
import { soak, soakGuests } from "./soak.ts";

/** Of 100 runs of `kills`, those that boot a guest. */
const GUESTS = 2;

export const campaigns: readonly Campaign[] = [
  faultsCampaign,
  serverCampaign,
  clientCampaign,
  inputsCampaign,
  killsCampaign(GUESTS),
  campaign(soak),
  campaign(soakGuests),
];
