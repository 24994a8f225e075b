/** How much data the questions of the privacy team are measured on, for each account. */

export const entriesPerAccount = 10
export const eventsPerAccount = 20
/** The days before now that the entries and events lie in. */
export const overDays = 400
