// What the source of each generated loop includes: elementary functions, and what runtime.cc has for it.
#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

// ------------------------------------------------------------------------------------------- elementary functions
// In float32 without branches, so that compilers make vectors of the loops around them; exact to 4e-7.

INLINE float power_of_two(int32_t n) {
  int32_t bits = (n + 127) << 23;
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}

// exp(x) - 1 = 2^n (e^r - 1) + (2^n - 1), x = n ln 2 + r, |r| <= ln(2) / 2 (but at the upper end, where n would be too
// large); for LOW <= x <= HIGH. 2^n - 1 is 0 near x = 0.
#define LOW -87.33f
#define HIGH 88.722f
INLINE float clipped(float x) { return x < LOW ? LOW : x > HIGH ? HIGH : x; }
INLINE float expm1_within(float x, float* scale) {
  float n = __builtin_nearbyintf(x * 1.44269504f);
  n = n > 127.f ? 127.f : n;
  float r = x - n * 0.693359375f + n * 2.12194440e-4f;  // ln 2 in two parts, the first of which times n is exact
  float p = 1 / 40320.f;
  p = p * r + 1 / 5040.f;
  p = p * r + 1 / 720.f;
  p = p * r + 1 / 120.f;
  p = p * r + 1 / 24.f;
  p = p * r + 1 / 6.f;
  p = p * r + 0.5f;
  *scale = power_of_two((int32_t)n);
  return *scale * (p * r * r + r);
}

INLINE float f_exp(float x) {
  float s, y = expm1_within(clipped(x), &s) + s;
  return x > HIGH ? __builtin_inff() : x < LOW ? 0.f : y;
}
INLINE float f_expm1(float x) {
  float s, y = expm1_within(clipped(x), &s) + (s - 1);
  return x > HIGH ? __builtin_inff() : x == 0 ? x : y;
}
INLINE float f_tanh(float x) {  // -e / (2 + e) with e = exp(-2|x|) - 1
  float s, a = __builtin_fabsf(x), y = -2 * (a > 15.f ? 15.f : a);
  float e = expm1_within(y, &s) + (s - 1), t = -e / (2 + e);
  return __builtin_copysignf(x != x ? x : t, x);
}
INLINE float f_logistic(float x) { return 1 / (1 + f_exp(-x)); }

INLINE double f_exp(double x) { return __builtin_exp(x); }
INLINE double f_expm1(double x) { return __builtin_expm1(x); }
INLINE double f_tanh(double x) { return __builtin_tanh(x); }
INLINE double f_logistic(double x) { return 1 / (1 + __builtin_exp(-x)); }

#define PAIR(name)                                                  \
  INLINE float f_##name(float x) { return __builtin_##name##f(x); } \
  INLINE double f_##name(double x) { return __builtin_##name(x); }
PAIR(sqrt) PAIR(fabs) PAIR(floor) PAIR(ceil) PAIR(log) PAIR(log1p) PAIR(sin) PAIR(cos) PAIR(tan) PAIR(erf) PAIR(erfc)
PAIR(exp2) PAIR(cbrt) PAIR(sinh) PAIR(cosh) PAIR(asinh) PAIR(acosh) PAIR(atanh)

template <class T> INLINE T f_max(T a, T b) { return a > b || a != a ? a : b; }
template <class T> INLINE T f_min(T a, T b) { return a < b || a != a ? a : b; }
template <class T> INLINE T f_abs(T a) { return a < 0 ? -a : a; }
INLINE float f_abs(float a) { return f_fabs(a); }
INLINE double f_abs(double a) { return f_fabs(a); }
template <class T> INLINE T f_sign(T a) { return a > 0 ? T(1) : a < 0 ? T(-1) : a; }
template <class T> INLINE T f_power(T a, int n) {
  T out = 1;
  for (int i = n < 0 ? -n : n; i; i >>= 1, a *= a)
    if (i & 1) out *= a;
  return n < 0 ? 1 / out : out;
}

// --------------------------------------------------------------------------------------------------- of runtime.cc

namespace rnn_jax {

#if defined(__AVX512F__)
enum { BYTES = 64, MR = 14 };
#elif defined(__AVX__)
enum { BYTES = 32, MR = 6 };
#else
enum { BYTES = 16, MR = 8 };
#endif
enum { ALIGNED = 64, BLOCK = 1 << 19, DEEP = 128 };  // bytes; rows

template <class T> constexpr long width() { return 2 * BYTES / (long)sizeof(T); }
template <class T> constexpr long packed_size(long k, long n) {
  return (n + width<T>() - 1) / width<T>() * width<T>() * k;
}

// c [m n] = a [m k] b [k n], rows lda and ldc apart; b as `pack` lays it out.
template <class T> void multiply(long m, long k, long n, const T* a, long lda, const T* b, T* c, long ldc);
// c [m n] += a^T b, of a [k m], as rows, and b as `pack` lays it out; with room for MR columns of a.
template <class T> void accumulate(long k, long m, long n, const T* a, const T* b, T* c, T* room);
// out = in + the parts, `apart` bytes from each other, of one slice of n numbers.
template <class T>
void add_parts(long n, const T* in, T* out, const char* parts, long apart, long n_parts, long slice, long slices);
// For these: the value at (i, j) is w[i * along + places[j]], or j for places[j] without them.
template <class T> void pack(long k, long n, const T* w, long along, const long* places, T* out);

struct Arrays {  // of one problem
  char **in, **out;
};

// What a thread computes in the loop: pieces of memory, of a size known before the first of them is asked for.
struct Memory {
  char *whole, *next;
  explicit Memory(size_t bytes);
  ~Memory();
  char* take(size_t bytes) {
    char* p = next;
    next += (bytes + ALIGNED - 1) / ALIGNED * ALIGNED;
    return p;
  }
};

// Of a block, whose values of a step take so many bytes: those that stay in the cache, and enough for a product.
INLINE long steps_at_once(long steps, long rows, long bytes) {
  const long fitting = bytes ? BLOCK / bytes : steps, enough = (DEEP + rows - 1) / rows;
  const long most = fitting > enough ? fitting : enough;
  return most > steps ? steps : most;
}

struct Program {  // what is generated
  int n_in, n_out;
  int first_x, first_y;  // the first of all inputs and outputs with an axis of time
  int first_rank;        // of the first output
  const long *in_bytes, *out_bytes;  // of one step
  long rows, packed_bytes, totals_bytes;  // rows: 1 where they depend on each other; totals of each part
  void (*prepare)(const Arrays&, char* packed);
  void (*run)(const Arrays&, const char* packed, char* totals, long steps, bool reverse, long from,
              long to);
  void (*gather)(const Arrays&, const char* totals, long parts, long slice, long slices);
};

}  // namespace rnn_jax
