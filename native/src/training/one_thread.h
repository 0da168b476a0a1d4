// Backward passes on the thread that asks for them.
#pragma once

#include <c10/core/AutogradState.h>

namespace san {

/// For as long as it lives, backward passes of this thread run on it, not on one of the device's own: a
/// capture and a recorder see one thread alone.
class OneThread {
 public:
  OneThread() : before_(c10::AutogradState::get_tls_state()) {
    c10::AutogradState::get_tls_state().set_multithreading_enabled(false);
  }
  ~OneThread() { c10::AutogradState::set_tls_state(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  c10::AutogradState before_;
};

}  // namespace san
