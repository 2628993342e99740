/* JSON text as Docker's json-file log has it: Go's escapes, and U+FFFD for what is not UTF-8. */
#include "monitor.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static const char HEX[] = "0123456789abcdef";

/* Bytes that stand for themselves. */
static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\' && byte != '<' && byte != '>' && byte != '&';
}

#ifdef __SSE2__
/* Copies up to the first byte that needs care, sixteen at a time; may write 15 bytes more than it has copied. */
static size_t copy_plain(char *out, const char *text, size_t length)
{
    const __m128i space = _mm_set1_epi8(0x20), quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    const __m128i less = _mm_set1_epi8('<'), more = _mm_set1_epi8('>'), and = _mm_set1_epi8('&');
    size_t at = 0;
    for (; at + 16 <= length; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(text + at));
        __m128i odd = _mm_cmplt_epi8(bytes, space); /* signed: also finds 0x80 and above */
        odd = _mm_or_si128(odd, _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, slash)));
        odd = _mm_or_si128(odd, _mm_or_si128(_mm_cmpeq_epi8(bytes, less), _mm_cmpeq_epi8(bytes, more)));
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(bytes, and));
        _mm_storeu_si128((__m128i *)(void *)(out + at), bytes);
        int mask = _mm_movemask_epi8(odd);
        if (mask)
            return at + (size_t)__builtin_ctz((unsigned)mask);
    }
    while (at < length && is_plain((unsigned char)text[at])) {
        out[at] = text[at];
        at++;
    }
    return at;
}
#else
static size_t copy_plain(char *out, const char *text, size_t length)
{
    size_t at = 0;
    while (at < length && is_plain((unsigned char)text[at])) {
        out[at] = text[at];
        at++;
    }
    return at;
}
#endif

static bool continues(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Length of the UTF-8 character at "text", or 0 where there is none (RFC 3629: no surrogates, nothing overlong). */
static size_t character_length(const unsigned char *text, size_t length)
{
    unsigned char first = text[0];
    if (first < 0xc2 || first > 0xf4)
        return 0;
    size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (length < size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if (!continues(text[i]))
            return 0;
    bool overlong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90);
    bool surrogate = first == 0xed && text[1] > 0x9f;
    return overlong || surrogate || (first == 0xf4 && text[1] > 0x8f) ? 0 : size;
}

static char *put(char *out, const char *text)
{
    size_t length = strlen(text);
    memcpy(out, text, length);
    return out + length;
}

static char *escape_ascii(char *out, unsigned char byte)
{
    *out++ = '\\';
    if (byte == '"' || byte == '\\')
        *out++ = (char)byte;
    else if (byte == '\n')
        *out++ = 'n';
    else if (byte == '\r')
        *out++ = 'r';
    else {
        out = put(out, "u00");
        *out++ = HEX[byte >> 4];
        *out++ = HEX[byte & 15];
    }
    return out;
}

/* Writes at most six times the length, and 16 bytes more. Returns the end of what was written. */
char *json_escape(char *out, const char *text, size_t length)
{
    for (size_t at = 0;;) {
        size_t plain = copy_plain(out, text + at, length - at);
        at += plain;
        out += plain;
        if (at == length)
            return out;
        const unsigned char *byte = (const unsigned char *)text + at;
        if (*byte < 0x80) {
            out = escape_ascii(out, *byte);
            at++;
            continue;
        }
        size_t size = character_length(byte, length - at);
        if (size == 0)
            out = put(out, "\\ufffd");
        else if (size == 3 && byte[0] == 0xe2 && byte[1] == 0x80 && (byte[2] & 0xfe) == 0xa8)
            out = put(out, byte[2] == 0xa8 ? "\\u2028" : "\\u2029");
        else
            for (size_t i = 0; i < size; i++)
                *out++ = (char)byte[i];
        at += size ? size : 1;
    }
}

static char *two_digits(char *out, unsigned value)
{
    *out++ = (char)('0' + value / 10 % 10);
    *out++ = (char)('0' + value % 10);
    return out;
}

/* Days since 1970 as year, month, day of the Gregorian calendar; months are counted from March within. */
static char *put_date(char *out, int64_t days)
{
    int64_t shifted = days + 719468, era = shifted / 146097;
    unsigned day = (unsigned)(shifted - era * 146097);
    unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    unsigned in_year = day - (365 * year + year / 4 - year / 100), month = (5 * in_year + 2) / 153;
    unsigned full_year = (unsigned)(era * 400) + year + (month >= 10);
    out = two_digits(out, full_year / 100);
    out = two_digits(out, full_year % 100);
    *out++ = '-';
    out = two_digits(out, month < 10 ? month + 3 : month - 9);
    *out++ = '-';
    return two_digits(out, in_year - (153 * month + 2) / 5 + 1);
}

/* RFC 3339 with nanoseconds, trailing zeros cut off, in UTC; at most 30 bytes. Returns the length. */
size_t log_time(char *out, const struct timespec *time)
{
    char *start = out;
    unsigned second = (unsigned)(time->tv_sec % 86400), nanoseconds = (unsigned)time->tv_nsec;
    out = put_date(out, time->tv_sec / 86400);
    *out++ = 'T';
    out = two_digits(out, second / 3600);
    *out++ = ':';
    out = two_digits(out, second / 60 % 60);
    *out++ = ':';
    out = two_digits(out, second % 60);
    if (nanoseconds) {
        *out++ = '.';
        for (unsigned unit = 100000000; nanoseconds; unit /= 10) {
            *out++ = (char)('0' + nanoseconds / unit);
            nanoseconds %= unit;
        }
    }
    *out++ = 'Z';
    return (size_t)(out - start);
}
