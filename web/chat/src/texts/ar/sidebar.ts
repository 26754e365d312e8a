import type { Texts } from '../index.ts';
import { pluralIn } from '../plural.ts';

const plural = pluralIn('ar');
const number = new Intl.NumberFormat('ar');

export const sidebar: Texts['sidebar'] = {
  title: 'المحادثات',
  newTalk: 'محادثة جديدة',
  search: 'بحث',
  pinned: 'مثبّتة',
  today: 'اليوم',
  yesterday: 'أمس',
  week: 'آخر 7 أيام',
  unnamed: 'محادثة جديدة',
  running: 'يُكتب رد الآن',
  waiting: (n) =>
    plural(n, {
      zero: 'لا رسائل تنتظر',
      one: 'رسالة واحدة تنتظر',
      two: 'رسالتان تنتظران',
      few: '# رسائل تنتظر',
      many: '# رسالة تنتظر',
      other: '# رسالة تنتظر',
    }),
  loading: 'جارٍ التحميل …',
  empty: 'ستظهر محادثاتك هنا.',
  emptyArchive: 'الأرشيف فارغ.',
  end: 'هذا كل شيء.',
  failed: 'تعذر تحميل القائمة.',
  again: 'إعادة المحاولة',
  archive: 'الأرشيف',
  leaveArchive: 'العودة إلى المحادثات',
  menuOf: (name) => `إجراءات ${name}`,
  rename: 'إعادة التسمية',
  renameOf: 'اسم المحادثة',
  regenerate: 'توليد اسم جديد',
  pin: 'تثبيت',
  unpin: 'إلغاء التثبيت',
  toArchive: 'أرشفة',
  fromArchive: 'إخراج من الأرشيف',
  archived: 'تمت الأرشفة.',
  undo: 'تراجع',
  remove: 'حذف',
  removeTitle: 'حذف هذه المحادثة؟',
  removeText: (name) => `ستُحذف «${name}» وكل رسائلها نهائيًا، على كل أجهزتك.`,
  removed: 'تم الحذف.',
  notDone: (code) => `لم ينجح ذلك (${code}).`,
  find: 'البحث عن محادثة',
  findHint: 'جزء من الاسم',
  nothing: (text) => `لا يوجد اسم فيه «${text}».`,
  searched: (n) => `تم البحث في أحدث ${number.format(n)}.`,
  searchedAll: (n) => `تم البحث في الكل: ${number.format(n)}.`,
  searchOlder: 'البحث في الأقدم',
  found: (n) =>
    plural(n, {
      zero: 'لا نتائج',
      one: 'نتيجة واحدة',
      two: 'نتيجتان',
      few: '# نتائج',
      many: '# نتيجة',
      other: '# نتيجة',
    }),
};
