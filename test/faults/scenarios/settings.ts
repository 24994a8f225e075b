/** People in their settings when the service dies: what was answered stands, and nothing pays twice. */
import { setTimeout as sleep } from 'node:timers/promises'
import { play, type Scenario } from '../scene.ts'
import { gatherPeople } from '../settings-people.ts'
import { setTogether } from '../stage.ts'
import { killTogether } from './kills.ts'

export const settings: readonly Scenario[] = [
  {
    name: 'settings-kill',
    about: 'kill -9 of the service while people change choices, set up authenticators and use backup codes',
    async run (form) {
      let told = ''
      const outcome = await play(form, setTogether, { crowd: { devices: 2, clients: 1 } }, async ({ stage, crowd, random }) => {
        const people = gatherPeople(stage.people, random, 6)
        for (let made = 1; made <= form.kills; made++) {
          await sleep(random.between(300, form.short ? 1500 : 6000))
          await killTogether(stage, random)
          form.say(`kill ${String(made)} of ${String(form.kills)}, ${JSON.stringify(people.done)}`)
        }
        await sleep(form.short ? 1000 : 5000)
        await people.stop()
        await people.check()
        crowd.complaints.push(...people.complaints)
        const { changes, enrolments, backupCodes, unanswered } = people.done
        if (changes === 0) crowd.complaints.push('nobody has changed anything')
        told = `${String(changes)} changes, ${String(enrolments)} authenticators and ${String(backupCodes)} backup codes answered, ${String(unanswered)} requests not`
        return form.kills
      })
      return { ...outcome, note: [told, outcome.note].filter(text => text !== undefined && text !== '').join('; ') }
    }
  }
]
