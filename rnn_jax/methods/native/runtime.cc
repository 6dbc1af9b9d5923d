// What every generated loop calls: matrix products, threads, and the call by XLA. Compiled once on a machine.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif
#include <sys/mman.h>

#include "loop.h"
#include "xla/ffi/api/c_api.h"

namespace rnn_jax {

// ------------------------------------------------------------------------------------------------ matrix products
// c [m n] = a [m k] b [k n] of b in panels of NR columns, each [k NR], the last one with zeros: so weights are packed
// before the loop. Up to MR rows of a times a panel stay in registers; the inner loop reads NR numbers of b and one of
// each row. In c += a^T b, the gradient of a weight, the rows lie across: side by side in each of the k.

enum { K = 256, AHEAD = 64 };  // of a panel: as much as the first cache has room for; how far ahead it is fetched

template <class T> struct Vector {
  typedef T type __attribute__((vector_size(BYTES), aligned(alignof(T)), may_alias));
};

template <int M, bool ACROSS, class T>
static void tile(long k, const T* a, long lda, const T* b, T* c, long ldc, bool more) {
  typedef typename Vector<T>::type V;
  constexpr long NR = width<T>(), half = NR / 2;
  V sum[M][2] = {};
  if (ACROSS && more)
    for (int r = 0; r < M; r++) __builtin_prefetch(c + r * ldc), __builtin_prefetch(c + r * ldc + half);
  for (long i = 0; i < k; i++, b += NR) {
    V one = *(const V*)b, two = *(const V*)(b + half);
    __builtin_prefetch(b + AHEAD * NR), __builtin_prefetch(b + AHEAD * NR + half);
#pragma GCC unroll 16
    for (int r = 0; r < M; r++) {
      T x = ACROSS ? a[i * M + r] : a[r * lda + i];
      sum[r][0] += x * one;
      sum[r][1] += x * two;
    }
  }
  if (more)
#pragma GCC unroll 16
    for (int r = 0; r < M; r++) {
      sum[r][0] += *(V*)(c + r * ldc);
      sum[r][1] += *(V*)(c + r * ldc + half);
    }
#pragma GCC unroll 16
  for (int r = 0; r < M; r++) {
    *(V*)(c + r * ldc) = sum[r][0];
    *(V*)(c + r * ldc + half) = sum[r][1];
  }
}

template <class T> using Tile = void (*)(long, const T*, long, const T*, T*, long, bool);
template <class T, bool ACROSS, size_t... I> static Tile<T> tile_of(long m, std::index_sequence<I...>) {
  static constexpr Tile<T> all[] = {tile<I + 1, ACROSS, T>...};
  return all[m - 1];
}

// The tile of m rows, of whose columns the first ones are wanted.
template <bool ACROSS, class T>
static void take(long m, long k, const T* a, long lda, const T* b, T* c, long ldc, long columns, bool more) {
  const auto run = tile_of<T, ACROSS>(m, std::make_index_sequence<MR>());
  if (columns >= width<T>()) return run(k, a, lda, b, c, ldc, more);
  T whole[MR * width<T>()];
  run(k, a, lda, b, whole, width<T>(), false);
  for (long r = 0; r < m; r++)
    for (long j = 0; j < columns; j++) c[r * ldc + j] = whole[r * width<T>() + j] + (more ? c[r * ldc + j] : 0);
}

// One row times FOUR panels: sums of one alone would wait for each other.
enum { FOUR = 4 };
template <class T> static void row(long k, const T* a, const T* b, T* c) {
  typedef typename Vector<T>::type V;
  constexpr long NR = width<T>(), half = NR / 2;
  V sum[FOUR][2] = {};
  for (long i = 0; i < k; i++)
#pragma GCC unroll 4
    for (int p = 0; p < FOUR; p++) {
      const T* at = b + (p * k + i) * NR;
      sum[p][0] += a[i] * *(const V*)at;
      sum[p][1] += a[i] * *(const V*)(at + half);
    }
  std::memcpy(c, sum, sizeof sum);
}

template <class T> void multiply(long m, long k, long n, const T* a, long lda, const T* b, T* c, long ldc) {
  const long NR = width<T>(), blocks = (m + MR - 1) / MR;
  long first = 0;
  for (; m == 1 && first + FOUR * NR <= n; first += FOUR * NR, b += FOUR * NR * k) row(k, a, b, c + first);
  for (long j = first; j < n; j += NR)
    for (long l = 0; l < k; l += K) {
      const long some = std::min<long>(K, k - l);
      for (long i = 0, at = 0; i < blocks; i++) {
        const long rows = m * (i + 1) / blocks - at;
        take<false>(rows, some, a + at * lda + l, lda, b, c + at * ldc + j, ldc, n - j, l > 0);
        at += rows;
      }
      b += some * NR;
    }
}

template <class T> void accumulate(long k, long m, long n, const T* a, const T* b, T* c, T* room) {
  const long NR = width<T>(), blocks = (m + MR - 1) / MR;
  for (long i = 0, at = 0; i < blocks; i++) {
    const long some = m * (i + 1) / blocks - at;
    for (long r = 0; r < k; r++) std::memcpy(room + r * some, a + r * m + at, some * sizeof(T));
    for (long j = 0; j < n; j += NR)
      take<true>(some, k, room, 0, b + j * k, c + at * n + j, n, n - j, true);
    at += some;
  }
}

template <class T>
void add_parts(long n, const T* in, T* out, const char* parts, long apart, long n_parts, long slice, long slices) {
  for (long i = n * slice / slices; i < n * (slice + 1) / slices; i++) {
    T sum = in[i];
    for (long p = 0; p < n_parts; p++) sum += ((const T*)(parts + p * apart))[i];
    out[i] = sum;
  }
}

template <class T> void pack(long k, long n, const T* w, long along, const long* places, T* out) {
  const long NR = width<T>();
  for (long j = 0; j < n; j += NR) {
    const bool in_one_piece = j + NR <= n && (!places || places[j + NR - 1] - places[j] == NR - 1);
    const auto at = [&](long c) { return places ? places[c] : c; };
    for (long i = 0; i < k; i++, out += NR)
      if (in_one_piece)
        std::memcpy(out, w + i * along + at(j), NR * sizeof(T));
      else
        for (long c = 0; c < NR; c++) out[c] = j + c < n ? w[i * along + at(j + c)] : T(0);
  }
}

template void multiply(long, long, long, const float*, long, const float*, float*, long);
template void multiply(long, long, long, const double*, long, const double*, double*, long);
template void accumulate(long, long, long, const float*, const float*, float*, float*);
template void accumulate(long, long, long, const double*, const double*, double*, double*);
template void add_parts(long, const float*, float*, const char*, long, long, long, long);
template void add_parts(long, const double*, double*, const char*, long, long, long, long);
template void pack(long, long, const float*, long, const long*, float*);
template void pack(long, long, const double*, long, const long*, double*);

// ----------------------------------------------------------------------------------------------------------- threads
// Parts of some work are taken in turn by this thread and by those of XLA's pool that come: so none waits for long for
// one that may not come.

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::microseconds;

// While it lives this thread does not run on the core `home`, if that is where it was and there are others.
struct Away {
#ifdef __linux__
  cpu_set_t before;
  bool moved = false;

  static int here() { return sched_getcpu(); }
  explicit Away(int home) {
    if (here() != home || sched_getaffinity(0, sizeof before, &before)) return;
    cpu_set_t others = before;
    CPU_CLR(home, &others);
    moved = CPU_COUNT(&others) && !sched_setaffinity(0, sizeof others, &others);
  }
  ~Away() {
    if (moved) sched_setaffinity(0, sizeof before, &before);
  }
#else
  static int here() { return 0; }
  explicit Away(int) {}
#endif
};

struct Work {
  std::function<void(long)> part;
  long parts;
  std::atomic<long> next{0}, left{0}, absent{0};
  std::mutex mutex;
  std::condition_variable done, came;
  const int home = Away::here();

  // Some systems wake a thread on the core of the one that wakes it, though others are idle, and leave it there for
  // milliseconds. So a helper leaves the core of the thread that called it, which sleeps until it has come. Measured
  // with a loop of 1.5 ms in two threads, among programs by other methods: it took 2.7 ms every second time.
  void help() {
    Away away(home);
    if (--absent == 0) {
      std::lock_guard<std::mutex> lock(mutex);
      came.notify_all();
    }
    take();
  }

  void meet(Microseconds patience) {
    const auto start = Clock::now(), spun = start + std::min(patience, Microseconds(50));
    while (absent > 0 && Clock::now() < spun) std::atomic_signal_fence(std::memory_order_seq_cst);
    if (absent <= 0) return;
    std::unique_lock<std::mutex> lock(mutex);
    came.wait_until(lock, start + patience, [&] { return absent <= 0; });
  }

  void take() {
    for (long i; (i = next++) < parts;) {
      part(i);
      if (--left == 0) {
        std::lock_guard<std::mutex> lock(mutex);
        done.notify_all();
      }
    }
  }
};

static bool failed(XLA_FFI_CallFrame* frame, XLA_FFI_Error* error) {
  if (!error) return false;
  XLA_FFI_Error_Destroy_Args gone = {};
  gone.struct_size = XLA_FFI_Error_Destroy_Args_STRUCT_SIZE;
  gone.error = error;
  frame->api->XLA_FFI_Error_Destroy(&gone);
  return true;
}

static long threads(XLA_FFI_CallFrame* frame) {
  int64_t n = 1;
  XLA_FFI_ThreadPool_NumThreads_Args asked = {};
  asked.struct_size = XLA_FFI_ThreadPool_NumThreads_Args_STRUCT_SIZE;
  asked.ctx = frame->ctx;
  asked.num_threads = &n;
  return failed(frame, frame->api->XLA_FFI_ThreadPool_NumThreads(&asked)) ? 1 : n;
}

// Parts of one size end together where threads begin together, so `patience` costs little.
static void in_parts(XLA_FFI_CallFrame* frame, long parts, Microseconds patience, std::function<void(long)> part) {
  auto work = std::make_shared<Work>();  // a thread that comes late finds nothing left
  work->part = std::move(part);
  work->left = work->parts = parts;
  const long helpers = std::min(threads(frame), parts) - 1;
  work->absent = helpers;
  for (long i = 0; i < helpers; i++) {
    XLA_FFI_ThreadPool_Schedule_Args wanted = {};
    wanted.struct_size = XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE;
    wanted.ctx = frame->ctx;
    auto* task = new std::shared_ptr<Work>(work);
    wanted.data = task;
    wanted.task = [](void* data) {
      std::unique_ptr<std::shared_ptr<Work>> task((std::shared_ptr<Work>*)data);
      (*task)->help();
    };
    if (failed(frame, frame->api->XLA_FFI_ThreadPool_Schedule(&wanted))) {  // then this thread does it all
      delete task;
      work->absent--;
    }
  }
  work->meet(patience);
  work->take();
  for (int i = 0; i < 10000 && work->left > 0; i++) std::atomic_signal_fence(std::memory_order_seq_cst);
  std::unique_lock<std::mutex> lock(work->mutex);
  work->done.wait(lock, [&] { return work->left <= 0; });
}

// ---------------------------------------------------------------------------------------------------- calls by XLA

static const void* attribute(const XLA_FFI_CallFrame* frame, const char* name) {
  for (int64_t i = 0; i < frame->attrs.size; i++)
    if (std::string_view(frame->attrs.names[i]->ptr, frame->attrs.names[i]->len) == name) return frame->attrs.attrs[i];
  return nullptr;
}

static int64_t number(const XLA_FFI_CallFrame* frame, const char* name) {
  return *(int64_t*)((XLA_FFI_Scalar*)attribute(frame, name))->value;
}

static bool is_question(XLA_FFI_CallFrame* frame) {  // which version this is of, and not a call
  for (auto* e = frame->extension_start; e; e = e->next)
    if (e->type == XLA_FFI_Extension_Metadata) {
      auto* metadata = ((XLA_FFI_Metadata_Extension*)e)->metadata;
      metadata->api_version.major_version = XLA_FFI_API_MAJOR;
      metadata->api_version.minor_version = XLA_FFI_API_MINOR;
      return true;
    }
  return false;
}

// New memory in pages of 2 MiB, where the system has them: 4 KiB at a time a first touch takes three times as long.
static void in_large_pages(void* memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
  const uintptr_t large = 1 << 21, first = ((uintptr_t)memory + large - 1) / large * large;
  const uintptr_t last = ((uintptr_t)memory + bytes) / large * large;
  if (first < last) madvise((void*)first, last - first, MADV_HUGEPAGE);
#endif
}

Memory::Memory(size_t bytes)
    : whole((char*)std::aligned_alloc(ALIGNED, (bytes / ALIGNED + 1) * ALIGNED)), next(whole) {
  in_large_pages(whole, bytes);
}
Memory::~Memory() { std::free(whole); }

// A call has loops beside each other, one for each index of the axes that vmap adds, each of independent rows.
static void serve(const Program& program, XLA_FFI_CallFrame* frame, std::atomic<long>& step_ns) {
  const long steps = number(frame, "steps"), n = program.n_in + program.n_out;
  const bool reverse = number(frame, "reverse");
  const auto* first = (XLA_FFI_Buffer*)frame->rets.rets[0];
  const int64_t added = first->rank - program.first_rank;
  long loops = 1;
  for (int64_t i = 0; i < added; i++) loops *= first->dims[i];
  auto at = [&](const void* array, long bytes, long loop) {
    const auto* buffer = (const XLA_FFI_Buffer*)array;
    long index = 0, size = 1;  // an added axis that this array does not have is of size 1
    for (int64_t i = added; i-- > 0; loop /= first->dims[i])
      if (buffer->dims[i] != 1) index += loop % first->dims[i] * size, size *= buffer->dims[i];
    return (char*)buffer->data + index * bytes;
  };
  std::vector<char*> arrays;
  Memory packed(loops * program.packed_bytes);
  for (long p = 0; p < loops; p++) {
    for (int i = 0; i < program.n_in; i++)
      arrays.push_back(at(frame->args.args[i], program.in_bytes[i] * (i < program.first_x ? 1 : steps), p));
    for (int i = 0; i < program.n_out; i++)
      arrays.push_back(at(frame->rets.rets[i], program.out_bytes[i] * (i < program.first_y ? 1 : steps), p));
  }
  for (int i = 0; i < program.n_out; i++)
    in_large_pages(((XLA_FFI_Buffer*)frame->rets.rets[i])->data,
                   loops * program.out_bytes[i] * (i < program.first_y ? 1 : steps));
  auto of = [&](long p) { return Arrays{arrays.data() + p * n, arrays.data() + p * n + program.n_in}; };
  for (long p = 0; p < loops; p++) program.prepare(of(p), packed.whole + p * program.packed_bytes);
  // As many parts of a loop as there are threads for it, and none of more rows than the caches have room for.
  const long share = (threads(frame) + loops - 1) / std::max(loops, 1L), most = 64;
  const long each = std::min(share * ((program.rows + share * most - 1) / (share * most)), program.rows);
  Memory totals(loops * each * program.totals_bytes);
  const auto start = Clock::now();
  in_parts(frame, loops * each, Microseconds(steps * step_ns / 8000), [&](long i) {
    const long p = i / each, part = i % each;
    char* own = totals.whole + i * program.totals_bytes;
    std::memset(own, 0, program.totals_bytes);
    program.run(of(p), packed.whole + p * program.packed_bytes, own, steps, reverse, program.rows * part / each,
                program.rows * (part + 1) / each);
  });
  step_ns = (Clock::now() - start) / std::chrono::nanoseconds(std::max(steps, 1L));
  if (!program.totals_bytes) return;
  const long slices = std::max(1L, std::min(threads(frame), program.totals_bytes / (1L << 16)));
  in_parts(frame, loops * slices, Microseconds(0), [&](long i) {
    const long p = i / slices;
    program.gather(of(p), totals.whole + p * each * program.totals_bytes, each, i % slices, slices);
  });
}

// Loops by their names, which come while XLA compiles what calls them: the first call waits, until its loop is there or
// cannot be made.
struct Loop {
  const Program* program;
  std::string problem;
  std::atomic<long> step_ns{0};  // of the last call, from which the next one knows how long it may wait for helpers
};
static std::mutex loops_mutex;
static std::condition_variable loops_came;
static std::unordered_map<std::string, Loop> loops;

extern "C" void rnn_jax_provide(const char* name, const Program* program, const char* problem) {
  std::lock_guard<std::mutex> lock(loops_mutex);
  auto [known, is_new] = loops.try_emplace(name);
  if (is_new) known->second.program = program, known->second.problem = problem;
  loops_came.notify_all();
}

extern "C" XLA_FFI_Error* rnn_jax_call(XLA_FFI_CallFrame* frame) {
  if (is_question(frame)) return nullptr;
  const auto* name = (const XLA_FFI_ByteSpan*)attribute(frame, "loop");
  const std::string known(name->ptr, name->len);
  std::unique_lock<std::mutex> lock(loops_mutex);
  loops_came.wait(lock, [&] { return loops.count(known); });
  Loop& loop = loops.at(known);
  lock.unlock();
  if (loop.program) {
    serve(*loop.program, frame, loop.step_ns);
    return nullptr;
  }
  XLA_FFI_Error_Create_Args error = {};
  error.struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE;
  error.message = loop.problem.c_str();
  error.errc = XLA_FFI_Error_Code_INTERNAL;
  return frame->api->XLA_FFI_Error_Create(&error);
}

}  // namespace rnn_jax
