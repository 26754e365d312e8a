import type { Texts } from '../index.ts';

const plural = new Intl.PluralRules('ar');

/** Six forms, as the language has them. */
function messages(n: number): string {
  switch (plural.select(n)) {
    case 'one':
      return 'رسالة واحدة تنتظر';
    case 'two':
      return 'رسالتان تنتظران';
    case 'few':
      return `${n} رسائل تنتظر`;
    default:
      return `${n} رسالة تنتظر`;
  }
}

export const composer: Texts['composer'] = {
  label: 'رسالة',
  placeholder: 'اسأل ما تشاء',
  placeholderTalk: 'تابع',
  send: 'إرسال',
  sendQueued: 'إضافة إلى قائمة الانتظار',
  sendInterrupting: 'إيقاف الرد والإرسال',
  stop: 'إيقاف الرد',
  whileRunning: 'ما العمل أثناء كتابة الرد',
  queue: 'انتظار الدور',
  queueHint: 'يُجاب عنها عند انتهاء هذا الرد.',
  interrupt: 'مقاطعة',
  interruptHint: 'يتوقف هذا الرد ويبقى نصه.',
  editing: 'سيُكتب الرد من جديد.',
  correcting: 'لا رد جديد.',
  correctInstead: 'تصحيح فقط',
  askInstead: 'السؤال من جديد',
  correct: 'حفظ التصحيح',
  cancelEdit: 'تركه كما كان',
  noFiles: 'لا يمكن إرسال الملفات بعد. سيأتي ذلك في إصدار لاحق.',
  size: (have, most) => `${have} من ${most}`,
  tooLong: (have, most) => `الحجم ${have}، والخادم يقبل ${most}.`,
  notSent: 'لم تُرسل بعد',
  sending: 'جارٍ الإرسال…',
  unknown: 'لا يُعرف بعد هل وصلت. تُرسل مرة أخرى وتُحسب مرة واحدة.',
  waiting: (seconds) => (seconds > 0 ? `الضغط كبير الآن. تُرسل مرة أخرى بعد ${seconds} ث.` : 'تُرسل مرة أخرى.'),
  turn: 'تُرسل عند انتهاء الرد.',
  busy: 'جهاز آخر يسأل هنا الآن.',
  busyBefore: 'كان رد يُكتب هنا.',
  stale: 'تقدمت المحادثة في هذه الأثناء.',
  quota: {
    tokens_per_day: 'نفدت رموز هذا اليوم.',
    conversations_per_day: 'لا محادثات جديدة اليوم.',
    bytes_per_user: 'امتلأت مساحتك. حذف المحادثات يفسح مكانًا.',
    other: 'نفدت حصتك.',
  },
  until: (when) => `يتاح المزيد ابتداءً من ${when}.`,
  context: (have, most) =>
    have && most ? `يقرأ النموذج ${most} رمزًا، وهذا نحو ${have}.` : 'هذا أطول مما يستطيع النموذج قراءته.',
  model: (name) => (name ? `النموذج ${name} غير متاح.` : 'النموذج غير متاح.'),
  full: 'عشر رسائل تنتظر هنا بالفعل.',
  gone: 'حُذفت هذه المحادثة.',
  failed: (message) => `رُفضت: ${message}`,
  tryNow: 'المحاولة الآن',
  again: 'إرسال مرة أخرى',
  sendAnyway: 'إرسال على أي حال',
  showNew: 'عرض الجديد',
  wait: 'الانتظار',
  takeBack: 'استرجاع',
  settings: 'الإعدادات',
  queued: messages,
  cancelQueued: 'إلغاء هذه الرسالة',
  recovered: 'أُرسلت رسالة كانت في الطريق.',
  open: 'فتح',
  stopFailed: 'تعذر إيقاف الرد. حاول مرة أخرى.',
  correctFailed: (message) => `لم يُصحح: ${message}`,
};
