import { showMoment, type Language } from './language.ts'

const notYou = 'Wenn Sie das nicht waren, ändern Sie Ihr Passwort und schreiben Sie an den Datenschutzkontakt in Ihren Einstellungen.'

export const german: Language = content => {
  switch (content.kind) {
    case 'verification_code': return {
      subject: 'Ihr Bestätigungscode',
      lines: [
        'Jemand, hoffentlich Sie selbst, möchte Einstellungen Ihres Kontos ändern. Der Code lautet:', content.code,
        `Er gilt ${String(content.minutes)} Minuten und kann einmal verwendet werden.`, 'Wenn Sie das nicht waren, müssen Sie nichts tun: Ohne den Code ändert sich nichts.'
      ]
    }
    case 'two_step_enabled': return { subject: 'Bestätigung in zwei Schritten ist an', lines: ['Für Ihr Konto wurde die Bestätigung in zwei Schritten mit einer Authenticator-App eingeschaltet.', notYou] }
    case 'two_step_replaced': return { subject: 'Ihre Authenticator-App wurde ersetzt', lines: ['Änderungen an Ihrem Konto bestätigt nun eine andere Authenticator-App. Die alte gilt nicht mehr, frühere Ersatzcodes auch nicht.', notYou] }
    case 'two_step_disabled': return { subject: 'Bestätigung in zwei Schritten ist aus', lines: ['Für Ihr Konto wurde die Bestätigung in zwei Schritten ausgeschaltet. Wir empfehlen, sie wieder einzuschalten.', notYou] }
    case 'two_step_disable_scheduled': return {
      subject: 'Bestätigung in zwei Schritten wird ausgeschaltet',
      lines: [`Jemand hat mit einem Code an diese Adresse verlangt, die Bestätigung in zwei Schritten auszuschalten. Sie ist ab ${showMoment('de', content.effectiveAt)} aus.`, 'Wenn Sie das nicht waren, brechen Sie es in Ihren Sicherheitseinstellungen ab.']
    }
    case 'two_step_disable_cancelled': return { subject: 'Bestätigung in zwei Schritten bleibt an', lines: ['Das Ausschalten der Bestätigung in zwei Schritten wurde abgebrochen.', notYou] }
    case 'two_step_reset': return { subject: 'Bestätigung in zwei Schritten wurde zurückgesetzt', lines: ['Die Administration hat für Ihr Konto die Bestätigung in zwei Schritten ausgeschaltet, damit Sie sie neu einrichten können.', notYou] }
    case 'backup_codes_regenerated': return { subject: 'Sie haben neue Ersatzcodes', lines: ['Für Ihr Konto wurden neue Ersatzcodes erstellt. Frühere gelten nicht mehr.', notYou] }
    case 'backup_code_used': return {
      subject: 'Ein Ersatzcode wurde verwendet',
      lines: [`Ein Ersatzcode Ihres Kontos wurde verwendet. Es bleiben ${String(content.remaining)}.`, ...(content.low ? ['Es sind nur noch wenige: Erstellen Sie neue in Ihren Sicherheitseinstellungen.'] : []), notYou]
    }
    case 'email_used_instead': return { subject: 'Ein Code per E-Mail wurde verwendet', lines: ['Statt Ihrer Authenticator-App wurde ein Code an diese Adresse verwendet.', notYou] }
    case 'account_locked': return {
      subject: 'Zu viele falsche Codes', lines: [`Für Ihr Konto wurden zu viele falsche Codes eingegeben. Bis ${showMoment('de', content.effectiveAt)} wird kein Code angenommen.`, notYou]
    }
    case 'authenticator_suspended': return {
      subject: 'Ihre Authenticator-App ist gesperrt',
      lines: ['Für Ihr Konto wurden zu viele falsche Codes einer Authenticator-App eingegeben; ihre Codes werden nicht mehr angenommen.', 'Ersetzen Sie die App mit einem Ihrer Ersatzcodes, oder bitten Sie den Support, sie zurückzusetzen.']
    }
    case 'account_unlocked': return { subject: 'Ihr Konto ist entsperrt', lines: ['Die Administration hat die Sperre der Bestätigung für Ihr Konto aufgehoben.', notYou] }
  }
}
