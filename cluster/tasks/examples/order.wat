;; A workflow: books the payment of an order, waits for a message that confirms it, and ships it. Each is a step, so each is
;; done once, however often the task is begun again, and on whichever node.
;;
;;   CREATE TABLE payments (number integer PRIMARY KEY);
;;   CREATE TABLE shipments (number integer PRIMARY KEY);
;;   INSERT INTO sys.mailboxes (name) VALUES ('confirmed');
;;   INSERT INTO sys.tasks (program, arguments) VALUES ('order', '[7]');   -- the number of the order
;;   SELECT sys.send('confirmed', 'true');
(module
  (import "relix" "arguments" (func $arguments (result i32)))
  (import "relix" "response_read" (func $response_read (param i32 i32 i32) (result i32)))
  (import "relix" "sql" (func $sql (param i32 i32 i32 i32) (result i32)))
  (import "relix" "step" (func $step (param i32 i32) (result i32)))
  (import "relix" "step_done" (func $step_done (param i32 i32)))
  (import "relix" "wait_for" (func $wait_for (param i32 i32 i64)))
  (import "relix" "result" (func $result (param i32 i32)))
  (import "relix" "fail" (func $fail (param i32 i32)))
  (memory (export "memory") 2)

  (data (i32.const 0) "pay")
  (data (i32.const 16) "confirmed")
  (data (i32.const 32) "ship")
  (data (i32.const 48) "shipped")
  (data (i32.const 256) "INSERT INTO payments VALUES ($1)")     ;; 32 bytes
  (data (i32.const 512) "SELECT id FROM sys.receive('confirmed')") ;; 39 bytes
  (data (i32.const 768) "INSERT INTO shipments VALUES ($1)")    ;; 33 bytes

  ;; The arguments are a JSON array, as parameters are: they are kept at 1024.
  (global $params_len (mut i32) (i32.const 0))

  ;; Runs a statement, and leaves its response at 32768. Returns the response's length.
  (func $do (param $at i32) (param $len i32) (param $params_len i32) (result i32) (local $got i32)
    (local.set $got (call $sql (local.get $at) (local.get $len) (i32.const 1024) (local.get $params_len)))
    (if (i32.lt_s (local.get $got) (i32.const 0))
      (then
        (local.set $got (call $response_read (i32.const 32768) (i32.const 0) (i32.const 32768)))
        (call $fail (i32.const 32768) (local.get $got))))
    (call $response_read (i32.const 32768) (i32.const 0) (local.get $got)))

  (func (export "run") (local $len i32)
    (local.set $len (call $arguments))
    (if (i32.gt_u (local.get $len) (i32.const 16384))
      (then (call $fail (i32.const 0) (i32.const 0))))
    (drop (call $response_read (i32.const 1024) (i32.const 0) (local.get $len)))
    (global.set $params_len (local.get $len))

    (if (i32.eq (call $step (i32.const 0) (i32.const 3)) (i32.const -1))
      (then
        (drop (call $do (i32.const 256) (i32.const 32) (global.get $params_len)))
        (call $step_done (i32.const 0) (i32.const 0))))

    (if (i32.eq (call $step (i32.const 16) (i32.const 9)) (i32.const -1))
      (then
        (local.set $len (call $do (i32.const 512) (i32.const 39) (i32.const 0)))
        ;; It ends with "count":0} if there was no message.
        (if (i32.eq (i32.load16_u (i32.add (i32.const 32765) (local.get $len))) (i32.const 0x303a))
          (then (call $wait_for (i32.const 16) (i32.const 9) (i64.const 0x7fffffffffffffff))))
        (call $step_done (i32.const 0) (i32.const 0))))

    (if (i32.eq (call $step (i32.const 32) (i32.const 4)) (i32.const -1))
      (then
        (drop (call $do (i32.const 768) (i32.const 33) (global.get $params_len)))
        (call $step_done (i32.const 0) (i32.const 0))))
    (call $result (i32.const 48) (i32.const 7))))
