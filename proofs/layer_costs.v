From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

(** claim encoder-complexity. With its projections attention takes fewer multiply-adds than an LSTM, whose four
    pairs of matrices take 8 n d^2, if and only if n < 2d. *)
Theorem attention_below_LSTM n d : 0 < n -> 0 < d -> 2 * n ^ 2 * d + 4 * n * d ^ 2 < 4 * (2 * n * d ^ 2) <-> n < 2 * d.
Proof.
  intros Hn Hd. assert (P : 0 < 2 * n * d) by nra.
  replace (2 * n ^ 2 * d + 4 * n * d ^ 2) with (2 * n * d * (n + 2 * d)) by ring.
  replace (4 * (2 * n * d ^ 2)) with (2 * n * d * (4 * d)) by ring.
  split; intro H; [apply Rmult_lt_reg_l in H; lra|apply Rmult_lt_compat_l; lra].
Qed.
(** The pairs of positions at most w apart, of n positions. *)
Definition band n w := Sum n (fun t => Sum n (fun s => if andb (Nat.leb t (s + w)) (Nat.leb s (t + w)) then 1 else 0)).
Lemma band_row n w : (w <= n)%nat -> Sum n (fun s => if andb (Nat.leb n (s + w)) (Nat.leb s (n + w)) then 1 else 0) = INR w.
Proof.
  intro Hw. replace n with ((n - w) + w)%nat at 1 by lia. rewrite Sum_app, Sum_0.
  - rewrite (Sum_ext w _ (fun _ => 1)), Sum_const; [ring|]. intros i Hi.
    destruct (Nat.leb_spec n (n - w + i + w)), (Nat.leb_spec (n - w + i) (n + w)); simpl; try lia; reflexivity.
  - intros i Hi. destruct (Nat.leb_spec n (i + w)); [lia|reflexivity].
Qed.
Lemma band_step n w : (w <= n)%nat -> band (S n) w = band n w + (2 * INR w + 1).
Proof.
  intro Hw. unfold band. change (Sum (S n) (fun t => Sum (S n) (fun s => if andb (Nat.leb t (s + w)) (Nat.leb s (t + w)) then 1 else 0)))
    with (Sum n (fun t => Sum n (fun s => if andb (Nat.leb t (s + w)) (Nat.leb s (t + w)) then 1 else 0) + (if andb (Nat.leb t (n + w)) (Nat.leb n (t + w)) then 1 else 0))
      + (Sum n (fun s => if andb (Nat.leb n (s + w)) (Nat.leb s (n + w)) then 1 else 0) + (if andb (Nat.leb n (n + w)) (Nat.leb n (n + w)) then 1 else 0))).
  rewrite Sum_plus, band_row by exact Hw.
  rewrite (Sum_ext n (fun t => if andb (Nat.leb t (n + w)) (Nat.leb n (t + w)) then 1 else 0) (fun s => if andb (Nat.leb n (s + w)) (Nat.leb s (n + w)) then 1 else 0))
    by (intros; rewrite Bool.andb_comm; reflexivity).
  rewrite band_row by exact Hw. destruct (Nat.leb_spec n (n + w)); [simpl; ring|lia].
Qed.
(** claim encoder-complexity. The band of restricted attention has n(2w + 1) - w(w + 1) pairs, w < n; each takes 2d. *)
Theorem band_pairs n w : (w < n)%nat -> band n w = INR n * (2 * INR w + 1) - INR w * (INR w + 1).
Proof.
  intro Hw. assert (All : forall m, (m <= S w)%nat -> band m w = INR m * INR m).
  { intros m Hm. unfold band. rewrite (Sum_ext m _ (fun _ => INR m)), Sum_const; [reflexivity|]. intros t Ht.
    rewrite (Sum_ext m _ (fun _ => 1)), Sum_const; [ring|]. intros s Hs.
    destruct (Nat.leb_spec t (s + w)), (Nat.leb_spec s (t + w)); simpl; try lia; reflexivity. }
  induction n; [lia|]. destruct (Nat.eq_dec w n) as [->|N].
  - rewrite All by lia. rewrite S_INR. ring.
  - rewrite band_step, IHn, S_INR by lia. ring.
Qed.
(** A sum of whole numbers. *)
Fixpoint Total (L : nat) (f : nat -> nat) : nat := match L with O => O | S l => (Total l f + f l)%nat end.
Lemma Total_ext L f g : (forall l, (l < L)%nat -> f l = g l) -> Total L f = Total L g.
Proof. intro H. induction L; [reflexivity|]. simpl. rewrite IHL, H; [reflexivity|lia|]. intros. apply H. lia. Qed.
(** The position so far back is seen by L causal layers of k taps, of which those of layer l are D l apart. *)
Definition sees L k (D : nat -> nat) back := exists tap : nat -> nat,
  (forall l, (l < L)%nat -> (tap l < k)%nat) /\ back = Total L (fun l => tap l * D l)%nat.
(** claim cnn-stacking. With neighbouring taps L layers see what is up to L(k - 1) back: 1 + L(k - 1) positions. *)
Theorem stack_sees L k back : (1 <= k)%nat -> sees L k (fun _ => 1%nat) back <-> (back <= L * (k - 1))%nat.
Proof.
  intro Hk. split.
  - intros [tap [H ->]]. induction L; [simpl; lia|]. simpl Total. pose proof (H L ltac:(lia)).
    assert (Total L (fun l => tap l * 1)%nat <= L * (k - 1))%nat by (apply IHL; intros; apply H; lia). nia.
  - revert back. induction L; intros back H.
    + exists (fun _ => 0%nat). split; [intros; lia|simpl in *; lia].
    + destruct (IHL (back - Nat.min back (k - 1))%nat ltac:(nia)) as [tap [T E]].
      exists (fun l => if Nat.eqb l L then Nat.min back (k - 1) else tap l). split.
      * intros l Hl. destruct (Nat.eqb_spec l L); [lia|apply T; lia].
      * simpl. rewrite Nat.eqb_refl. rewrite (Total_ext L _ (fun l => tap l * 1)%nat); [lia|].
        intros l Hl. destruct (Nat.eqb_spec l L); [lia|reflexivity].
Qed.
Lemma digits_below L k tap : (forall l, (l < L)%nat -> (tap l < k)%nat) -> (Total L (fun l => tap l * k ^ l) < k ^ L)%nat.
Proof.
  intro H. induction L; [simpl; lia|]. simpl Total. pose proof (H L ltac:(lia)).
  assert (Total L (fun l => tap l * k ^ l) < k ^ L)%nat by (apply IHL; intros; apply H; lia). simpl Nat.pow. nia.
Qed.
(** claim cnn-stacking. With taps 1, k, k^2, ... apart they see what is less than k^L back: k^L positions. *)
Theorem dilated_sees L k back : (1 <= k)%nat -> sees L k (fun l => k ^ l)%nat back <-> (back < k ^ L)%nat.
Proof.
  intro Hk. split; [intros [tap [H ->]]; apply digits_below, H|].
  revert back. induction L; intros back H.
  - exists (fun _ => 0%nat). split; [intros; lia|simpl in *; lia].
  - assert (P : (k ^ L <> 0)%nat) by (apply Nat.pow_nonzero; lia).
    destruct (IHL (back mod k ^ L)%nat (Nat.mod_upper_bound _ _ P)) as [tap [T E]].
    exists (fun l => if Nat.eqb l L then (back / k ^ L)%nat else tap l). split.
    + intros l Hl. destruct (Nat.eqb_spec l L); [|apply T; lia]. apply Nat.div_lt_upper_bound; [exact P|]. simpl in H. lia.
    + simpl. rewrite Nat.eqb_refl. rewrite (Total_ext L _ (fun l => tap l * k ^ l)%nat).
      * rewrite <- E. pose proof (Nat.div_mod back _ P). lia.
      * intros l Hl. destruct (Nat.eqb_spec l L); [lia|reflexivity].
Qed.
(** claim cnn-stacking. Then there is exactly one route from each of them. *)
Theorem one_route L k tap tap' : (forall l, (l < L)%nat -> (tap l < k)%nat) -> (forall l, (l < L)%nat -> (tap' l < k)%nat) ->
  Total L (fun l => tap l * k ^ l)%nat = Total L (fun l => tap' l * k ^ l)%nat -> forall l, (l < L)%nat -> tap l = tap' l.
Proof.
  intros H H' E. induction L; [intros; lia|]. simpl in E.
  pose proof (digits_below L k tap ltac:(intros; apply H; lia)). pose proof (digits_below L k tap' ltac:(intros; apply H'; lia)).
  assert (T : tap L = tap' L).
  { destruct (Nat.lt_total (tap L) (tap' L)) as [Q|[Q|Q]]; [|exact Q|]; exfalso; nia. }
  intros l Hl. destruct (Nat.eq_dec l L) as [->|]; [exact T|]. apply IHL; [intros; apply H; lia|intros; apply H'; lia|rewrite T in E; lia|lia].
Qed.
Lemma ceiling a b L : (1 <= b)%nat -> (a <= L * b <-> (a + b - 1) / b <= L)%nat.
Proof.
  intro Hb. split; intro H.
  - apply Nat.lt_succ_r, Nat.div_lt_upper_bound; [lia|nia].
  - pose proof (Nat.div_mod (a + b - 1) b ltac:(lia)). pose proof (Nat.mod_upper_bound (a + b - 1) b ltac:(lia)). nia.
Qed.
(** claim encoder-complexity. The path from position 1 to n: L causal convolutions suffice if and only if L is
    at least (n - 1) / (k - 1) rounded up, dilated ones if and only if n <= k^L. *)
Theorem causal_path L k n : (2 <= k)%nat -> (1 <= n)%nat ->
  (sees L k (fun _ => 1%nat) (n - 1) <-> (n - 1 + (k - 1) - 1) / (k - 1) <= L)%nat /\
  (sees L k (fun l => k ^ l)%nat (n - 1) <-> n <= k ^ L)%nat.
Proof.
  intros Hk Hn. split.
  - rewrite stack_sees by lia. apply ceiling. lia.
  - rewrite dilated_sees by lia. lia.
Qed.
(** claim self-attention. The output is linear in the values B, here in one entry of them, for any keys. *)
Theorem linear_in_values n z a b v w :
  Mean n (softmax n z) (fun s => a * v s + b * w s) = a * Mean n (softmax n z) v + b * Mean n (softmax n z) w.
Proof.
  unfold Mean. rewrite <- !Sum_scal, <- Sum_plus. apply Sum_ext. intros. ring.
Qed.
(** claim self-attention. It is not in the keys A: with all keys 0 it is the plain mean of the values, and not 0. *)
Theorem not_linear_in_keys n v : (0 < n)%nat -> Mean n (softmax n (fun s => 0 * v s)) (fun _ => 1) = 1.
Proof.
  intro Hn. destruct (softmax_law n (fun s => 0 * v s) Hn) as [_ E]. unfold Mean. rewrite Sum_scal_r, E. ring.
Qed.
