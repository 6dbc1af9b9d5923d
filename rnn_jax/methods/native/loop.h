// What the source of each generated loop includes: elementary functions, and what runtime.cc has for it.
#include <stddef.h>
#include <stdint.h>

#define INLINE_IN inline __attribute__((always_inline))  // a class
#define INLINE static INLINE_IN

// ------------------------------------------------------------------------------------------- elementary functions
// In float32 without branches, so that compilers make vectors of the loops around them; exact to 4e-7.

// which ? a : b, by their bits: where compilers see a choice they move what is chosen from into branches, and make no
// vectors then.
template <class T> struct Bits;
template <> struct Bits<float> { typedef int32_t type; };
template <> struct Bits<double> { typedef int64_t type; };
template <class T> INLINE typename Bits<T>::type bits_of(T x) {
  typename Bits<T>::type bits;
  __builtin_memcpy(&bits, &x, sizeof x);
  return bits;
}
template <class T> INLINE T of_bits(typename Bits<T>::type bits) {
  T x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}
template <class T> INLINE T chosen_by_bits(bool which, T a, T b) {
  typename Bits<T>::type mask = -(typename Bits<T>::type)which;
  return of_bits<T>((bits_of(a) & mask) | (bits_of(b) & ~mask));
}
INLINE float chosen(bool which, float a, float b) { return chosen_by_bits(which, a, b); }
INLINE double chosen(bool which, double a, double b) { return chosen_by_bits(which, a, b); }
template <class T> INLINE T chosen(bool which, T a, T b) { return which ? a : b; }

INLINE float power_of_two(int32_t n) { return of_bits<float>((n + 127) << 23); }

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

// log(x) = e ln 2 + log(1 + r), x = 2^e (1 + r), sqrt(1/2) <= 1 + r < sqrt(2); log(1 + r) = r - r^2/2 + r^3 p(r).
INLINE float f_log(float x) {
  int32_t bits = bits_of(x), e = (bits - 0x3f3504f3) >> 23;
  float n = (float)e, r = of_bits<float>(bits - (e << 23)) - 1;
  float p = -7.859590863e-2f;
  p = p * r + 1.288165300e-1f;
  p = p * r - 1.312876489e-1f;
  p = p * r + 1.418119174e-1f;
  p = p * r - 1.662455303e-1f;
  p = p * r + 2.000228626e-1f;
  p = p * r - 2.500081043e-1f;
  p = p * r + 3.333331673e-1f;
  float tail = p * r * r * r - n * 2.12194440e-4f - 0.5f * r * r;
  float found = n * 0.693359375f + (r + tail);
  const float inf = __builtin_inff(), other = chosen(x == 0, -inf, chosen(x > 0, x, __builtin_nanf("")));
  return chosen(x > 0 && x < inf, found, other);
}
INLINE float f_log1p(float x) {  // log(u) and what the rounding of u = 1 + x took
  float u = 1 + x, y = f_log(u), rest = chosen(x > 1, 1 - (u - x), x - (u - 1));
  return chosen(u > 0 && u < __builtin_inff(), chosen(u == 1, x, y + rest / u), y);
}

INLINE double f_exp(double x) { return __builtin_exp(x); }
INLINE double f_log(double x) { return __builtin_log(x); }
INLINE double f_log1p(double x) { return __builtin_log1p(x); }
INLINE double f_expm1(double x) { return __builtin_expm1(x); }
INLINE double f_tanh(double x) { return __builtin_tanh(x); }
INLINE double f_logistic(double x) { return 1 / (1 + __builtin_exp(-x)); }

#define PAIR(name)                                                  \
  INLINE float f_##name(float x) { return __builtin_##name##f(x); } \
  INLINE double f_##name(double x) { return __builtin_##name(x); }
PAIR(sqrt) PAIR(fabs) PAIR(floor) PAIR(ceil) PAIR(round) PAIR(nearbyint) PAIR(sin) PAIR(cos) PAIR(tan) PAIR(asin)
PAIR(acos) PAIR(atan) PAIR(erf) PAIR(erfc) PAIR(exp2) PAIR(cbrt) PAIR(sinh) PAIR(cosh) PAIR(asinh) PAIR(acosh)
PAIR(atanh)
#define PAIR_OF_TWO(name)                                                             \
  INLINE float f_##name(float a, float b) { return __builtin_##name##f(a, b); }    \
  INLINE double f_##name(double a, double b) { return __builtin_##name(a, b); }
PAIR_OF_TWO(pow) PAIR_OF_TWO(fmod) PAIR_OF_TWO(atan2)

template <class T> INLINE T f_max(T a, T b) { return (a > b) | (a != a) ? a : b; }
template <class T> INLINE T f_min(T a, T b) { return (a < b) | (a != a) ? a : b; }
template <class T> INLINE T f_abs(T a) { return a < 0 ? -a : a; }
INLINE float f_abs(float a) { return f_fabs(a); }
INLINE double f_abs(double a) { return f_fabs(a); }
template <class T> INLINE T f_sign(T a) { return a > 0 ? T(1) : a < 0 ? T(-1) : a; }
// Of integers what XLA has, where C++ has nothing: a division by 0, or of the least number by -1; a cast of what is too
// large.
template <class T> INLINE bool is_minus_one(T a) { return T(-1) < T(1) && a == T(-1); }
template <class T> INLINE T f_quotient(T a, T b) {
  T minus;
  if (is_minus_one(b)) return __builtin_sub_overflow(T(0), a, &minus), minus;
  return b == 0 ? T(-1) : T(a / b);
}
template <class T> INLINE T f_remainder(T a, T b) { return b == 0 ? a : is_minus_one(b) ? T(0) : T(a % b); }
template <class T, class F> INLINE T f_integer(F x, T least, T most) {
  return x != x ? T(0) : x <= F(least) ? least : x >= F(most) ? most : T(x);
}
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

// first, at(0), ..., at(n-1) put together by `op`, as many side by side as a vector has; at(i, T()) is one value, at(i,
// V()) a vector of those from i on.
struct Sum {
  template <class T> INLINE_IN T operator()(T a, T b) const { return a + b; }
};
struct Product {
  template <class T> INLINE_IN T operator()(T a, T b) const { return a * b; }
};
struct Max {
  template <class T> INLINE_IN T operator()(T a, T b) const { return f_max(a, b); }
};
struct Min {
  template <class T> INLINE_IN T operator()(T a, T b) const { return f_min(a, b); }
};
struct Greater {  // NaN is greater, and less, than all else
  template <class T> INLINE_IN bool operator()(T a, T b) const { return (a > b) | ((a != a) & (b == b)); }
};
struct Less {
  template <class T> INLINE_IN bool operator()(T a, T b) const { return (a < b) | ((a != a) & (b == b)); }
};
struct And {
  template <class T> INLINE_IN T operator()(T a, T b) const { return a & b; }
};
struct Or {
  template <class T> INLINE_IN T operator()(T a, T b) const { return a | b; }
};
template <long N, class T, class Op> struct Halves {
  typedef T V __attribute__((vector_size(N * sizeof(T))));
  typedef T Half __attribute__((vector_size(N / 2 * sizeof(T))));
  static INLINE_IN T together(V v, Op op) {
    Half a, b;
    __builtin_memcpy(&a, &v, sizeof a);
    __builtin_memcpy(&b, (char*)&v + sizeof a, sizeof b);
    return Halves<N / 2, T, Op>::together(op(a, b), op);
  }
};
template <class T, class Op> struct Halves<2, T, Op> {
  typedef T V __attribute__((vector_size(2 * sizeof(T))));
  static INLINE_IN T together(V v, Op op) { return op(T(v[0]), T(v[1])); }
};
template <class Op, class T, class At> INLINE T folded(long n, T first, Op op, At at) {
  typedef T V __attribute__((vector_size(BYTES)));
  constexpr long L = BYTES / sizeof(T);
  long i = 0;
  if (n >= L) {
    V one = at(0, V());
    i = L;
    if (n >= 2 * L) {
      V two = at(L, V());
      for (i = 2 * L; i + 2 * L <= n; i += 2 * L) one = op(one, at(i, V())), two = op(two, at(i + L, V()));
      one = op(one, two);
      if (i + L <= n) one = op(one, at(i, V())), i += L;
    }
    first = op(first, Halves<L, T, Op>::together(one, op));
  }
  for (; i < n; i++) first = op(first, at(i, T()));
  return first;
}
template <class V, class T> INLINE V taken(const T* a) {
  V out;
  __builtin_memcpy(&out, a, sizeof out);
  return out;
}
template <class Op, class T> INLINE T fold(long n, const T* a, T first, Op op) {
  return folded(n, first, op, [=](long i, auto like) { return taken<decltype(like)>(a + i); });
}
// sum_i a[i] b[i]
template <class T> INLINE T dot(long n, const T* a, const T* b) {
  return folded(n, T(0), Sum(), [=](long i, auto like) {
    return taken<decltype(like)>(a + i) * taken<decltype(like)>(b + i);
  });
}

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
