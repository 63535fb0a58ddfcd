/**
 * What generated mail says, in eight languages. Slots are filled when a text is made: `{project}`, `{number}`,
 * `{name}`, `{amount}`, `{day}`.
 */
import type { Charset } from './charsets.ts';

export type TransferEncoding = '7bit' | '8bit' | 'quoted-printable' | 'base64';

export interface Language {
  readonly code: string;
  /** Share of the mail written in it. */
  readonly weight: number;
  /** How its mail programs send it; the first is the most usual. */
  readonly encodings: readonly { readonly charset: Charset; readonly transfer: TransferEncoding }[];
  readonly names: readonly (readonly [display: string, local: string])[];
  readonly domains: readonly string[];
  readonly subjects: readonly string[];
  readonly greetings: readonly string[];
  readonly sentences: readonly string[];
  readonly closings: readonly string[];
  readonly days: readonly string[];
  /** Offsets of its senders from UTC, in minutes. */
  readonly zones: readonly number[];
}

export const projects: readonly string[] = [
  'Harbour',
  'Kestrel',
  'Orion',
  'Aurora',
  'Meridian',
  'Tessera',
  'Halcyon',
  'Zephyr',
];

export const languages: readonly Language[] = [
  {
    code: 'en',
    weight: 40,
    encodings: [
      { charset: 'us-ascii', transfer: '7bit' },
      { charset: 'utf-8', transfer: 'quoted-printable' },
      { charset: 'iso-8859-1', transfer: '8bit' },
    ],
    names: [
      ['Alice Harper', 'alice.harper'],
      ['Ben Whitfield', 'ben'],
      ["Siobhan O'Connor", 'siobhan.oconnor'],
      ['Marcus Adeyemi', 'm.adeyemi'],
      ['Priya Raman', 'priya'],
      ['Tom Ellery', 'tom.ellery'],
    ],
    domains: ['harper-whitfield.example', 'northgate.example', 'mail.example.org'],
    subjects: [
      'Minutes of the {project} meeting on {day}',
      'Invoice {number}',
      '{project}: revised schedule',
      'Lunch on {day}?',
      'Your order {number} has been dispatched',
      'Draft contract, version {number}',
      'Question about {project}',
      'Travel expenses for {name}',
      'Reminder: training on {day}',
      'Server maintenance tonight',
    ],
    greetings: ['Dear {name},', 'Hi {name},', 'Hello all,', 'Good morning {name},'],
    sentences: [
      'Please find attached the figures for {project} that we discussed on {day}.',
      'The supplier has confirmed delivery of {number} units before the end of the month.',
      'I have gone through the contract with {name}, and two clauses still need your attention.',
      'Could you let me know by {day} whether the budget of {amount} covers the second phase as well?',
      'We moved the database to the new cluster last night and have seen no errors since.',
      'The customer asks for a written confirmation, ideally with the reference {number} in it.',
      'If nobody objects, I will close the ticket and archive the old documents.',
      'As agreed on the phone, the deposit of {amount} is refunded when the keys are returned.',
      'The photographs from the site visit are rather large, so I have put them in a shared folder.',
      'There is a train at twenty past eight which would bring us there in time for the presentation.',
      'Nothing has changed in the specification apart from the paragraph on warranty.',
      '{name} will be on leave from {day}; in urgent cases please call the front desk.',
      'Thank you for the quick reply, it saved us an entire afternoon of guesswork.',
      'Would it be possible to receive the drawings as a spreadsheet instead of a picture?',
    ],
    closings: ['Kind regards', 'Best wishes', 'Many thanks', 'Yours sincerely'],
    days: ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday'],
    zones: [0, 60, -300, -480],
  },
  {
    code: 'de',
    weight: 20,
    encodings: [
      { charset: 'utf-8', transfer: 'quoted-printable' },
      { charset: 'iso-8859-1', transfer: 'quoted-printable' },
      { charset: 'utf-8', transfer: '8bit' },
    ],
    names: [
      ['Jürgen Müller', 'j.mueller'],
      ['Käthe Schröder', 'kaethe.schroeder'],
      ['Björn Großmann', 'grossmann'],
      ['Anja Weiß', 'anja.weiss'],
      ['Özlem Yildiz', 'oezlem'],
    ],
    domains: ['mueller-soehne.example', 'stadtwerke.example'],
    subjects: [
      'Protokoll der Besprechung {project} vom {day}',
      'Rechnung Nr. {number}',
      'Rückfrage zu {project}',
      'Übergabe am {day}',
      'Änderung Ihrer Bestellung {number}',
      'Urlaubsübersicht für {name}',
      'Ergänzung zum Angebot über {amount}',
    ],
    greetings: ['Sehr geehrte Damen und Herren,', 'Hallo {name},', 'Liebe Kolleginnen und Kollegen,'],
    sentences: [
      'anbei erhalten Sie die überarbeitete Fassung des Vertrags für {project}.',
      'Die Prüfung der Unterlagen dauert voraussichtlich noch bis {day}.',
      'Für die Müllabfuhr und die Straßenreinigung fallen zusätzlich {amount} an.',
      'Könnten Sie mir bitte die fehlenden Anhänge zur Bestellung {number} schicken?',
      '{name} kümmert sich während meiner Abwesenheit um alle offenen Vorgänge.',
      'Über Ihre Rückmeldung würden wir uns sehr freuen.',
      'Der Zähler wurde heute früh abgelesen, größere Abweichungen gab es keine.',
      'Wir möchten den Termin gern um eine Woche verschieben, weil die Räume belegt sind.',
      'Das Gerät läuft seit dem Austausch der Lüfter wieder zuverlässig.',
      'Bitte überweisen Sie den Betrag von {amount} unter Angabe der Nummer {number}.',
    ],
    closings: ['Mit freundlichen Grüßen', 'Viele Grüße', 'Herzliche Grüße aus Köln'],
    days: ['Montag', 'Dienstag', 'Mittwoch', 'Donnerstag', 'Freitag'],
    zones: [60, 120],
  },
  {
    code: 'fr',
    weight: 12,
    encodings: [
      { charset: 'utf-8', transfer: 'quoted-printable' },
      { charset: 'iso-8859-1', transfer: '8bit' },
    ],
    names: [
      ['Hélène Lefèvre', 'h.lefevre'],
      ['François Garçon', 'francois'],
      ['Zoé Noël', 'zoe.noel'],
      ['Jérôme Bénard', 'jerome.benard'],
    ],
    domains: ['atelier-lefevre.example', 'mairie.example'],
    subjects: [
      'Compte rendu de la réunion {project}',
      'Facture n° {number}',
      'Modification du calendrier pour {day}',
      'Réponse à votre demande {number}',
      'Dîner de {day} : êtes-vous là ?',
    ],
    greetings: ['Bonjour {name},', 'Madame, Monsieur,', 'Chers collègues,'],
    sentences: [
      'Vous trouverez ci-joint le dossier complet du projet {project}.',
      'La livraison prévue {day} est reportée à cause de la grève.',
      'Nous avons bien reçu votre règlement de {amount}, merci beaucoup.',
      'Pourriez-vous vérifier la pièce numéro {number} avant la signature ?',
      'Le serveur a été redémarré cette nuit et tout fonctionne à nouveau.',
      "{name} préparera l'ordre du jour et réservera la salle du deuxième étage.",
      'Les élèves ont déjà rendu leurs devoirs, sauf deux qui étaient malades.',
      'Ça ne change rien au budget, mais il faudra prévenir la trésorière.',
    ],
    closings: ['Cordialement', 'Bien à vous', 'Avec mes meilleures salutations'],
    days: ['lundi', 'mardi', 'mercredi', 'jeudi', 'vendredi'],
    zones: [60, 120],
  },
  {
    code: 'ru',
    weight: 9,
    encodings: [
      { charset: 'koi8-r', transfer: '8bit' },
      { charset: 'utf-8', transfer: 'base64' },
      { charset: 'koi8-r', transfer: 'base64' },
      { charset: 'windows-1251', transfer: 'quoted-printable' },
    ],
    names: [
      ['Анна Ковалёва', 'a.kovaleva'],
      ['Дмитрий Орлов', 'orlov'],
      ['Екатерина Щукина', 'e.schukina'],
    ],
    domains: ['zavod.example', 'pochta.example'],
    subjects: [
      'Протокол совещания по проекту {project}',
      'Счёт {number}',
      'Вопрос о договоре',
      'Перенос встречи на {day}',
    ],
    greetings: ['Здравствуйте, {name}!', 'Уважаемые коллеги!', 'Добрый день!'],
    sentences: [
      'Высылаю исправленный вариант договора по проекту {project}.',
      'Оплата в размере {amount} поступила сегодня утром.',
      'Прошу подтвердить получение заказа {number} до конца недели.',
      'Встреча переносится на {day}, место остаётся прежним.',
      'Сервер был перезагружен ночью, ошибок больше не наблюдается.',
      'Документы за прошлый год уже переданы в архив.',
      'Если возникнут вопросы, звоните мне в любое время.',
    ],
    closings: ['С уважением', 'Всего доброго'],
    days: ['понедельник', 'вторник', 'среду', 'четверг', 'пятницу'],
    zones: [180],
  },
  {
    code: 'zh',
    weight: 6,
    encodings: [
      { charset: 'gb2312', transfer: 'base64' },
      { charset: 'utf-8', transfer: 'base64' },
      { charset: 'gb2312', transfer: '8bit' },
    ],
    names: [
      ['王小明', 'wangxm'],
      ['李娜', 'lina'],
      ['张伟', 'zhang.wei'],
    ],
    domains: ['beijing-trade.example', 'gongsi.example'],
    subjects: ['关于{project}项目的会议纪要', '发票{number}', '请确认订单{number}', '{day}的培训安排'],
    greetings: ['{name}，您好！', '各位同事：', '尊敬的客户：'],
    sentences: [
      '附件是{project}项目的最新报价，请查收。',
      '我们已经收到贵公司的付款{amount}，谢谢。',
      '会议改到{day}上午十点，地点不变。',
      '请在本周内确认订单{number}的交货时间。',
      '服务器昨天晚上已经升级完毕，目前运行正常。',
      '如有任何问题，请随时与我们联系。',
    ],
    closings: ['此致敬礼', '祝工作顺利'],
    days: ['星期一', '星期二', '星期三', '星期四', '星期五'],
    zones: [480],
  },
  {
    code: 'ja',
    weight: 6,
    encodings: [
      { charset: 'iso-2022-jp', transfer: '7bit' },
      { charset: 'utf-8', transfer: 'base64' },
    ],
    names: [
      ['田中太郎', 't.tanaka'],
      ['鈴木花子', 'suzuki'],
      ['佐藤健', 'k.sato'],
    ],
    domains: ['tokyo-branch.example', 'kaisha.example'],
    subjects: [
      '{project}会議の議事録',
      '請求書{number}の件',
      '{day}の打ち合わせについて',
      'お問い合わせの件',
    ],
    greetings: ['{name}様', '関係者各位', 'お世話になっております。'],
    sentences: [
      '{project}の資料を添付いたしますので、ご確認ください。',
      '次回の会議は{day}の午後二時からに変更となりました。',
      'ご注文{number}は本日発送いたしました。',
      '見積金額は{amount}となります。',
      'サーバーの保守作業は無事に完了しました。',
      'ご不明な点がございましたら、お気軽にご連絡ください。',
    ],
    closings: ['よろしくお願いいたします。', '以上、よろしくお願いします。'],
    days: ['月曜日', '火曜日', '水曜日', '木曜日', '金曜日'],
    zones: [540],
  },
  {
    code: 'ar',
    weight: 3,
    encodings: [
      { charset: 'utf-8', transfer: 'base64' },
      { charset: 'utf-8', transfer: '8bit' },
    ],
    names: [
      ['ليلى حداد', 'layla.haddad'],
      ['يوسف منصور', 'y.mansour'],
    ],
    domains: ['haddad-trading.example'],
    subjects: ['محضر اجتماع مشروع {project}', 'فاتورة رقم {number}', 'تأجيل الموعد إلى {day}'],
    greetings: ['السيد {name} المحترم،', 'الزملاء الأعزاء،'],
    sentences: [
      'تجدون مرفقا النسخة المعدلة من عقد مشروع {project}.',
      'لقد استلمنا المبلغ {amount} وشكرا لكم.',
      'نرجو تأكيد الطلب رقم {number} قبل نهاية الأسبوع.',
      'تم تأجيل الاجتماع إلى {day} في المكان نفسه.',
      'عاد الخادم إلى العمل بعد الصيانة الليلية دون أخطاء.',
    ],
    closings: ['مع أطيب التحيات', 'وتفضلوا بقبول فائق الاحترام'],
    days: ['الاثنين', 'الثلاثاء', 'الأربعاء', 'الخميس'],
    zones: [180, 240],
  },
  {
    code: 'pl',
    weight: 4,
    encodings: [
      { charset: 'iso-8859-2', transfer: 'quoted-printable' },
      { charset: 'utf-8', transfer: '8bit' },
    ],
    names: [
      ['Małgorzata Wiśniewska', 'm.wisniewska'],
      ['Łukasz Żak', 'lukasz.zak'],
    ],
    domains: ['krakow-biuro.example'],
    subjects: ['Protokół spotkania {project}', 'Faktura nr {number}', 'Zmiana terminu na {day}'],
    greetings: ['Dzień dobry,', 'Cześć {name},', 'Szanowni Państwo,'],
    sentences: [
      'W załączeniu przesyłam poprawioną wersję umowy dotyczącej {project}.',
      'Proszę o potwierdzenie zamówienia {number} do końca tygodnia.',
      'Płatność w wysokości {amount} dotarła dziś rano.',
      'Spotkanie przełożono na {day}, miejsce pozostaje bez zmian.',
      'Źródło błędu znaleźliśmy dopiero późną nocą.',
    ],
    closings: ['Z poważaniem', 'Pozdrawiam serdecznie'],
    days: ['poniedziałek', 'wtorek', 'środę', 'czwartek', 'piątek'],
    zones: [60, 120],
  },
];
